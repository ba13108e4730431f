"""What a claim is, and the thresholds of the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.missing import Missing

SEEN, NOT_SEEN, NOT_TESTED = "seen", "not seen", "not tested"
PARTS = 20  # parts of the training for peaks: 10 steps each of 200
MARGIN = 0.02  # changes of a share below two points are none
KEPT = 2 / 3  # a KL that keeps two thirds of its first value has not been minimised
LEAK_FREE = 0.01
WITHIN = 2.0  # the paper's own clip ratio moves between 3 and 6 %


@dataclass(frozen=True)
class Finding:
    """A verdict with the numbers behind it."""

    verdict: str
    evidence: str


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, where it stands, the rule for its verdict, and the function that applies it."""

    key: str
    statement: str
    place: str
    rule: str
    examine: Callable[[Comparison], Finding]


def arm(comparison: Comparison, method: str) -> Variant:
    """Return the finished variant that stands for an arm.

    Raises:
        Missing: There is none, or it is unfinished.
    """
    variant = comparison.main(method)
    if variant is None:
        several = [each.label for each in comparison.of_method(method)]
        hint = f"; none of {', '.join(several)} is labelled '{method}'" if several else ""
        raise Missing(f"there is no run of {method}{hint}")
    if not variant.complete:
        raise Missing(f"the runs of {variant.label} are unfinished")
    return variant


def seeds_of(seeds: tuple[int, ...]) -> str:
    """Return ``(seeds 0, 1, 2)``."""
    return f"(seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"
