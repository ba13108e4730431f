"""From measured claims to verdicts: Holm over the page, gates of the base, controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rlsd_cli.report.claims.base import Claim, Finding, Measured, NotTestable
from rlsd_cli.report.claims.estimates import LEVEL
from rlsd_cli.report.claims.papers import claims_of_arm, paper_claims
from rlsd_cli.report.claims.registry import ADDED, PAPER, Claims, check_paper
from rlsd_cli.report.claims.rules import NOT_TESTABLE, NOT_TESTED, RULES, SEEN, UNDECIDED, Verdict
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.gates import Gate, failed
from rlsd_cli.report.missing import Missing


@dataclass(frozen=True)
class Page:
    """The claims of a page with their findings, and the controls with theirs."""

    claims: list[tuple[Claim, Finding]]
    controls: list[tuple[Claim, Finding]]


def examine(comparison: Comparison, claims: Claims | None = None) -> Page:
    """Judge every claim of a paper.

    Args:
        comparison: The runs.
        claims: Of a paper; where None, of the refereed one, with those that the arms of the runs bring and those of
            modules of one's own.
    """
    given = claims or paper_claims()
    controls = judged(given.controls.values(), comparison)
    by_key = {claim.key: finding for claim, finding in controls}
    own = [*ADDED.values(), *_of_arms(comparison)] if claims is None else []
    everything = [*given.claims, *own]
    found = judged(everything, comparison, failed(comparison.gates))
    by_key |= {claim.key: finding for claim, finding in found}
    return Page([(claim, _with_controls(claim, finding, by_key)) for claim, finding in found], controls)


def judge_paper(comparison: Comparison, paper: str) -> Page:
    """Judge the claims of a paper by its arXiv number; those of each paper are a page of their own (Holm).

    Raises:
        UserError: No file has claims of that paper; the sentence lists those that there are.
    """
    return examine(comparison, None if check_paper(paper) == PAPER else paper_claims(paper))


def _of_arms(comparison: Comparison) -> list[Claim]:
    cards = {variant.method: variant.arm for variant in comparison.arms}
    return [claim for name, card in cards.items() for claim in claims_of_arm(name, card.title, card.claims)]


def judged(
    claims: Iterable[Claim], comparison: Comparison, gates: Mapping[str, Sequence[Gate]] | None = None
) -> list[tuple[Claim, Finding]]:
    """Judge claims together: Holm's step-down over those that could be measured."""
    measured: dict[str, Measured] = {}
    findings: dict[str, Finding] = {}
    asked = list(claims)
    for claim in asked:
        try:
            measured[claim.key] = claim.measure(comparison, claim)
        except Missing as reason:
            findings[claim.key] = Finding(NOT_TESTED, str(reason))
        except NotTestable as reason:
            findings[claim.key] = Finding(NOT_TESTABLE, str(reason))
    p_values = {
        claim.key: RULES[claim.rule].p_values(measured[claim.key].parts) for claim in asked if claim.key in measured
    }
    for key, (verdict, p) in step_down(p_values).items():
        told = measured[key]
        findings[key] = Finding(verdict, told.evidence + _alone(verdict, p_values[key]), p, parts=told.parts)
    for claim in asked:
        failed = [gate for key in (claim.key, *claim.gates) for gate in (gates or {}).get(key, ())]
        finding = findings[claim.key]
        if failed and finding.verdict != NOT_TESTED:
            reasons = "; ".join(gate.sentence for gate in failed)
            findings[claim.key] = replace(finding, verdict=NOT_TESTABLE, evidence=f"{reasons}. {finding.evidence}")
    return [(claim, findings[claim.key]) for claim in asked]


def step_down(p_values: Mapping[str, Mapping[Verdict, float]]) -> dict[str, tuple[Verdict, float]]:
    """Return each claim's verdict and its two-sided p-value, adjusted by Holm over the claims.

    The claim with the smallest p-value is tested at level/m, the next at level/(m − 1), and so on; the first that fails
    leaves itself and the rest undecided. Within a claim the first verdict counts that is below its level.
    """
    order = sorted(p_values, key=lambda key: (min(p_values[key].values()), key))
    found: dict[str, tuple[Verdict, float]] = {}
    floor = 0.0
    for rank, key in enumerate(order):
        factor = 2 * (len(order) - rank)
        adjusted = {verdict: max(floor, min(1.0, factor * p)) for verdict, p in p_values[key].items()}
        passing = [verdict for verdict, p in adjusted.items() if p <= LEVEL]
        verdict = passing[0] if passing else UNDECIDED
        found[key] = verdict, adjusted[verdict] if passing else min(adjusted.values())
        floor = max(floor, min(adjusted.values()))
    return found


def _alone(verdict: Verdict, p_values: Mapping[Verdict, float]) -> str:
    """Say what an undecided claim would be called if it were the only one."""
    if verdict != UNDECIDED:
        return ""
    alone = next((each for each, p in p_values.items() if 2 * p <= LEVEL), None)
    return f"; alone it would be '{alone}', not among so many claims" if alone else ""


def _with_controls(claim: Claim, finding: Finding, by_key: Mapping[str, Finding]) -> Finding:
    if not claim.controls or finding.verdict == NOT_TESTED:
        return finding
    shown = {key: by_key[key] for key in claim.controls if key in by_key}
    told = "; ".join(f"{key.replace('_', ' ')}: {each.verdict}" for key, each in shown.items())
    failed = [key for key, each in shown.items() if each.verdict not in (SEEN, NOT_TESTED)]
    if failed and finding.verdict in RULES[claim.rule].null:
        reason = f"the positive control ({', '.join(failed).replace('_', ' ')}) is not seen either"
        return replace(finding, verdict=NOT_TESTABLE, evidence=f"{reason}. {finding.evidence}", control=told)
    return replace(finding, control=told)
