"""Who ends above whom: by the held-out suites where both are evaluated, else by the reward."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rlsd_cli.report.accuracy import difference
from rlsd_cli.report.claims.base import Claim, Measured, seeds_of
from rlsd_cli.report.claims.estimates import Estimate, from_interval, over_seeds
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.measures import fifths, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import difference_of, names_by_method
from rlsd_cli.report.verdicts import p_text, signed


def contrast(upper: Variant, lower: Variant) -> tuple[Estimate, str]:
    """Return one arm's accuracy minus another's, paired by seed and question, and its sentence.

    Raises:
        Missing: The two share no seed, or nothing that both have.
    """
    name = f"{upper.label} − {lower.label}"
    suites = sorted(set(suites_of(upper)) & set(suites_of(lower)))
    if not suites:
        if not lower.trained:
            raise Missing(f"{lower.label} and {upper.label} are evaluated on no common suite")
        seeds, left, right = matched(fifths(upper, "reward"), fifths(lower, "reward"))
        estimate = over_seeds(left[:, -1] - right[:, -1])
        return estimate, f"{name}: reward in the last fifth {signed(estimate.interval())} {seeds_of(seeds)}, no suite"
    found = difference(upper, lower, suites)
    estimate = from_interval(found.interval, found.questions)
    if len(found.seeds) < 2:  # an interval over questions says nothing about the arm
        estimate = over_seeds([found.interval.mean])
    return estimate, (
        f"{name}: mean accuracy over {len(suites)} suite{'s' if len(suites) > 1 else ''} {signed(found.interval)} "
        f"{seeds_of(found.seeds)}; for these trained models alone, over questions, sign-flip {p_text(found.p)}"
    )


@measure
def ends_above(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the first arm against each of the others, in one direction.

    Arms whose runs are missing are named; there must be one at least. What is not there can't be called seen.
    """
    first = chosen(comparison, claim.arms[0])
    parts, told, lacking = _against(comparison, first, claim.arms[1:], claim)
    if lacking:
        parts.append(Part("without runs", Estimate(0.0, float("nan"), 0, 0), claim.margin.value))
        told.append(f"not run: {', '.join(lacking)}")
    return Measured(parts, "; ".join(told))


def _against(
    comparison: Comparison, first: Variant, others: Sequence[str], claim: Claim
) -> tuple[list[Part], list[str], list[str]]:
    parts: list[Part] = []
    told: list[str] = []
    lacking: list[str] = []
    reasons: list[str] = []
    for selector in others:
        try:
            estimate, sentence = contrast(first, chosen(comparison, selector))
        except Missing as reason:
            lacking.append(selector)
            reasons.append(str(reason))
            continue
        parts.append(Part(selector, estimate, claim.margin.value))
        told.append(sentence)
    if not parts:
        raise Missing("; ".join(dict.fromkeys(reasons)))
    return parts, told, lacking


@measure
def in_order(comparison: Comparison, claim: Claim) -> Measured:
    """Measure neighbours in a list of arms, worst first; the margin is a share of the paper's own difference."""
    present = []
    for selector in claim.arms:
        try:
            present.append(chosen(comparison, selector))
        except Missing:
            continue
    lacking = [name for name in claim.arms if name not in {variant.method for variant in present}]
    if len(present) < 3:
        raise Missing(f"there is no run of {', '.join(lacking)}: an order takes three arms")
    names = names_by_method()
    parts, told = [], []
    for lower, upper in itertools.pairwise(present):
        estimate, sentence = contrast(upper, lower)
        reported = difference_of("table2", names[upper.method], names[lower.method])
        parts.append(Part(f"{upper.label} − {lower.label}", estimate, claim.margin.value * reported))
        told.append(sentence.partition("; for these")[0] + f", the paper's +{reported:.4f}")
    if lacking:
        told.append(f"not run: {', '.join(lacking)}")
    return Measured(parts, "; ".join(told))
