"""How many seeds a comparison takes, from the spread that the runs show."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rlsd_cli.report.accuracy import difference
from rlsd_cli.report.claims.papers import paper_claims
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.measures import fifths, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table

BASELINE = "grpo"
POWER, LEVEL = 0.8, 0.05
EFFECTS = (0.05, 0.03, 0.015, 0.01)
MARGINS = (0.02, 0.01)
MOST = 10_000


def seeds_needed(spread: float, effect: float) -> int:
    """Return the least n at which a two-sided paired t test at 5 % finds ``effect`` with a chance of 80 %.

    Args:
        spread: Standard deviation of the paired difference of a seed.
        effect: The difference.
    """
    return _least(lambda n: t_power(spread, effect, n))


def seeds_for_equality(spread: float, margin: float) -> int:
    """Return the least n at which two one-sided t tests at 2.5 % call equal arms equal with a chance of 80 %.

    Both tests pass where the mean lies within margin − t·s/√n; the chance is that of a normal mean at the expected s.
    """
    from scipy.stats import norm, t

    def chance(n: int) -> float:
        error = spread / math.sqrt(n)
        room = margin - float(t.ppf(1 - LEVEL / 2, n - 1)) * error
        return float(2 * norm.cdf(room / error) - 1) if room > 0 else 0.0

    return _least(chance)


def t_power(spread: float, effect: float, n: int) -> float:
    """Return the power of the paired t test with n seeds (non-central t)."""
    from scipy.stats import nct, t

    bound, shift = float(t.ppf(1 - LEVEL / 2, n - 1)), effect / (spread / math.sqrt(n))
    return float(nct.sf(bound, n - 1, shift) + nct.cdf(-bound, n - 1, shift))


def _least(chance: Callable[[int], float]) -> int:
    low, high = 1, 2
    while chance(high) < POWER:
        low, high = high, high * 2
        if high > MOST:
            return MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if chance(middle) < POWER else (low, middle)
    return high


def spread_of(variant: Variant, baseline: Variant) -> tuple[float, int, str]:
    """Return the standard deviation of a seed's paired difference, the seeds behind it, and of what it is.

    Raises:
        Missing: Fewer than two seeds are shared.
    """
    suites = sorted(set(suites_of(variant)) & set(suites_of(baseline)))
    if suites:
        both = sorted(set(variant.seeds) & set(baseline.seeds))
        values = []
        for seed in both:
            ours, theirs = (_one_seed(each, seed) for each in (variant, baseline))
            try:
                values.append(difference(ours, theirs, suites).interval.mean)
            except Missing:
                continue
        if len(values) > 1:
            return float(np.std(values, ddof=1)), len(values), "accuracy"
    seeds, left, right = matched(fifths(variant, "reward"), fifths(baseline, "reward"))
    if len(seeds) < 2:
        raise Missing(f"{variant.label} and {baseline.label} share one seed only")
    return float(np.std(left[:, -1] - right[:, -1], ddof=1)), len(seeds), "reward"


def _one_seed(variant: Variant, seed: int) -> Variant:
    return Variant(variant.label, tuple(run for run in variant.runs if run.seed == seed))


def power(comparison: Comparison) -> Table:
    """Return the seeds that each arm's comparison with GRPO takes.

    Raises:
        Missing: GRPO, or every other arm, lacks two seeds.
    """
    baseline = comparison.main(BASELINE)
    if baseline is None:
        raise Missing("there is no run of grpo to compare with")
    paper = {claim.key: claim for claim in paper_claims().claims}["rlsd_above"].margin.value
    effects = sorted({*EFFECTS, paper}, reverse=True)
    names = styles(comparison.variants.values())
    rows, reasons = [], []
    for variant in in_order(comparison.arms):
        if variant is baseline:
            continue
        try:
            spread, seeds, what = spread_of(variant, baseline)
        except Missing as reason:
            reasons.append(f"{reason}.")
            continue
        if spread == 0:
            reasons.append(f"{variant.label} and {baseline.label} differ by the same in every seed.")
            continue
        counts = [seeds_needed(spread, effect) for effect in effects]
        counts += [seeds_for_equality(spread, margin) for margin in MARGINS]
        cells = [Cell(text=str(count) if count < MOST else f"over {MOST}") for count in counts]
        first = Cell(value=spread, text=f"({what})", digits=4)
        rows.append((f"{names[variant.label].name} (n={seeds})", [first, *cells]))
    if not rows:
        raise Missing(" ".join(reasons).rstrip(".") or "there is no other arm")
    columns = ["SD of a seed's difference"]
    columns += [f"{effect:.3g}" + (" (paper)" if effect == paper else "") for effect in effects]
    columns += [f"equal, ±{margin:g}" for margin in MARGINS]
    caption = (
        "Seeds needed against GRPO, from the spread of the paired difference over n seeds: to find a difference of the "
        f"given size with a two-sided t test at {LEVEL:g} and power {POWER:g}, and to call equal arms equal by two "
        "one-sided tests. A spread from few seeds is itself uncertain: from five, the true one may be 0.6 to 2.9 times "
        "as large (χ², 95 %)."
    )
    return Table("power", caption, columns, rows, reasons, corner="Arm − GRPO")
