"""The rules by which numbers become verdicts: each a p-value for every verdict that it can give, and a sentence.

The verdicts of a rule exclude each other at every true value but for one error of at most half the level, so a claim
needs no correction among its own verdicts; over the claims of a page Holm's holds (`rlsd_cli.report.claims.judge`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rlsd_cli.report.claims.estimates import Estimate

Verdict = Literal["seen", "equal", "not seen", "undecided", "not testable here", "not tested"]
SEEN: Verdict = "seen"
EQUAL: Verdict = "equal"
NOT_SEEN: Verdict = "not seen"
UNDECIDED: Verdict = "undecided"
NOT_TESTABLE: Verdict = "not testable here"
NOT_TESTED: Verdict = "not tested"

RuleName = Literal["contrast", "all_above", "at_most", "at_least", "within", "signs"]


@dataclass(frozen=True)
class Part:
    """One number of a claim.

    Attributes:
        name: What it is.
        estimate: The number.
        margin: What the rule compares it with, in its own unit.
    """

    name: str
    estimate: Estimate
    margin: float


@dataclass(frozen=True)
class Rule:
    """How parts become a verdict.

    Attributes:
        sentence: The rule in words, with {margin}.
        p_values: From the parts to one-sided p-values by verdict; the first that is small enough counts.
        null: Verdicts that say "nothing is there": they need a positive control.
    """

    sentence: str
    p_values: Callable[[Sequence[Part]], dict[Verdict, float]]
    null: tuple[Verdict, ...] = (EQUAL, NOT_SEEN)


def _any(values: Sequence[float]) -> float:
    """Return the p-value of "at least one of them" (Bonferroni)."""
    return min(1.0, len(values) * min(values))


def _contrast(parts: Sequence[Part]) -> dict[Verdict, float]:
    above = [part.estimate.p_above(0.0) for part in parts]
    short = [part.estimate.p_below(part.margin) for part in parts]
    within = [max(part.estimate.p_above(-part.margin), below) for part, below in zip(parts, short, strict=True)]
    return {EQUAL: max(within), SEEN: max(above), NOT_SEEN: _any(short)}


def _all_above(parts: Sequence[Part]) -> dict[Verdict, float]:
    found = _contrast(parts)
    return {NOT_SEEN: found[NOT_SEEN], SEEN: found[SEEN]}


def _at_most(parts: Sequence[Part]) -> dict[Verdict, float]:
    return {
        SEEN: max(part.estimate.p_below(part.margin) for part in parts),
        NOT_SEEN: _any([part.estimate.p_above(part.margin) for part in parts]),
    }


def _at_least(parts: Sequence[Part]) -> dict[Verdict, float]:
    return {
        SEEN: max(part.estimate.p_above(part.margin) for part in parts),
        NOT_SEEN: _any([part.estimate.p_below(part.margin) for part in parts]),
    }


def _within(parts: Sequence[Part]) -> dict[Verdict, float]:
    inside = [max(p.estimate.p_above(-p.margin), p.estimate.p_below(p.margin)) for p in parts]
    outside = [min(p.estimate.p_above(p.margin), p.estimate.p_below(-p.margin)) for p in parts]
    return {SEEN: max(inside), NOT_SEEN: _any(outside)}


def _signs(parts: Sequence[Part]) -> dict[Verdict, float]:
    return {
        SEEN: max(part.estimate.p_above(0.0) for part in parts),
        NOT_SEEN: _any([part.estimate.p_below(0.0) for part in parts]),
    }


RULES: dict[RuleName, Rule] = {
    "contrast": Rule(
        "Equal: certainly within ±{margin} (two one-sided tests). Seen: certainly above 0, and not certainly less than "
        "{margin}. Not seen: certainly less than {margin}.",
        _contrast,
    ),
    "all_above": Rule(
        "Not seen: one certainly less than {margin}. Seen: otherwise, if each is certainly above 0.",
        _all_above,
    ),
    "at_most": Rule("Seen: certainly less than {margin}. Not seen: certainly more.", _at_most, (SEEN,)),
    "at_least": Rule("Seen: certainly more than {margin}. Not seen: certainly less.", _at_least),
    "within": Rule("Seen: certainly within {margin}. Not seen: certainly outside.", _within, (SEEN,)),
    "signs": Rule("Seen: each certainly on the paper's side. Not seen: one certainly on the other.", _signs),
}
