"""Leakage: whether it comes and stays, its order, its level at the end, and whether what leaks more falls more."""

from __future__ import annotations

import numpy as np

from rlsd_cli.report.claims.base import Claim, Measured, NotTestable, seeds_of, unfinished
from rlsd_cli.report.claims.estimates import over_seeds
from rlsd_cli.report.claims.measures.course import reward_and_peak
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen, setting
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.gates import open_book_cites
from rlsd_cli.report.measures import blocks, fifths, left_out_peak, matched, rollouts_per_fifth
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.variants import opsd_supports
from rlsd_cli.report.verdicts import signed

KEY = "leakage/rate"


@measure
def leakage_comes(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the leakage in the last fifth minus that in the first."""
    seeds, values = fifths(chosen(comparison, claim.arms[0]), KEY)
    gain = over_seeds(values[:, -1] - values[:, 0])
    return Measured(
        [Part("gain", gain, claim.margin.value)],
        f"leakage {values[:, 0].mean():.3f} in the first fifth, {values[:, -1].mean():.3f} in the last; difference "
        f"{signed(gain.interval())} {seeds_of(seeds)}",
    )


@measure
def leakage_rises(comparison: Comparison, claim: Claim) -> Measured:
    """Measure by tenths whether leakage rises and never falls back by more than the margin."""
    seeds, values = blocks(chosen(comparison, claim.arms[0]), KEY)
    peak, _ = left_out_peak(values)
    rise, fall, margin = over_seeds(values[:, -1] - values[:, 0]), over_seeds(peak - values[:, -1]), claim.margin.value
    steps = np.diff(values, axis=1)
    parts = [Part("rise", rise, margin), Part("fall", fall.minus(margin).negative(), margin)]
    parts += [Part(f"tenth {i + 2}", over_seeds(column).minus(-margin), margin) for i, column in enumerate(steps.T)]
    return Measured(
        parts,
        f"leakage {values[:, 0].mean():.3f} in the first tenth, {peak.mean():.3f} at the highest, "
        f"{values[:, -1].mean():.3f} in the last; rise {signed(rise.interval())}, fall from the highest "
        f"{signed(fall.interval())}, lowest step between tenths {steps.mean(axis=0).min():+.3f} {seeds_of(seeds)}",
    )


@measure
def leakage_order(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the teacher's top-1 against the full distribution, and that against the student's top-1."""
    found = opsd_supports(comparison)
    lacking = [name for name in ("full", "teacher-top-1", "student-top-1") if name not in found]
    if lacking:
        raise Missing(f"there is no run of opsd with {' and '.join(lacking)}")
    means = {}
    cites, least = open_book_cites(comparison), claim.options["cites"]
    if cites is not None and cites < least:
        raise NotTestable(
            f"the open-book base cites with probability {cites:.2f}: below {least:g} a citation is never the first "
            "choice, so a top-1 target can't carry it"
        )
    for name, variant in found.items():
        if not variant.complete:
            raise Missing(unfinished(variant))
        seeds, values = fifths(variant, KEY)
        means[name] = seeds, values.mean(axis=1)
    parts, told = [], []
    for more, less in (("teacher-top-1", "full"), ("full", "student-top-1")):
        common, left, right = matched(means[more], means[less])
        gap = over_seeds(left - right)
        parts.append(Part(f"{more} − {less}", gap, claim.margin.value))
        told.append(f"{more} − {less} {signed(gap.interval())} {seeds_of(common)}")
    return Measured(parts, "leakage over the whole training: " + "; ".join(told))


@measure
def leakage_at_end(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the leakage in the last fifth."""
    variant = chosen(comparison, claim.arms[0])
    seeds, values = fifths(variant, KEY)
    rate = over_seeds(values[:, -1], trials=len(seeds) * rollouts_per_fifth(variant))
    shown, told = rate.interval().within(0.0, 1.0), seeds_of(seeds)
    return Measured(
        [Part("rate", rate, claim.margin.value)], f"leakage in the last fifth {shown.shown(digits=4)} {told}"
    )


@measure
def leaking_falls(comparison: Comparison, claim: Claim) -> Measured:
    """Measure within each seed the rank correlation, over the variants of an arm, of leakage and fall from the peak.

    Only variants that share all settings of the training but the arm's own are ranked together.
    """
    finished = [each for each in comparison.of_method(claim.arms[0]) if each.complete]
    main = comparison.main(claim.arms[0]) or next(iter(finished), None)
    if main is None:
        raise Missing(f"there is no run of {claim.arms[0]}")
    variants = [each for each in finished if _same_training(each, main)]
    leaks, falls, names = {}, {}, []
    for variant in variants:
        try:
            seeds, rates = fifths(variant, KEY)
            own, values, peak = reward_and_peak(variant)
        except Missing:
            continue
        names.append(variant.label)
        for row, seed in enumerate(seeds):
            leaks[variant.label, seed] = rates[row].mean()
        for row, seed in enumerate(own):
            falls[variant.label, seed] = peak[row] - values[row, -1]
    if len(names) < claim.options["variants"]:
        raise Missing(
            f"{len(names)} variants of {claim.arms[0]} log leakage and reward, {claim.options['variants']:g} are needed"
        )
    both = [seed for seed in main.seeds if all((name, seed) in leaks and (name, seed) in falls for name in names)]
    if not both:
        raise Missing("the variants share no seed")
    correlations = [
        _spearman([leaks[name, seed] for name in names], [falls[name, seed] for name in names]) for seed in both
    ]
    if any(value is None for value in correlations):
        raise NotTestable("all variants leak, or fall, alike")
    rho = over_seeds([value for value in correlations if value is not None])
    pairs = ", ".join(
        f"{name} {np.mean([leaks[name, s] for s in both]):.3f}/{np.mean([falls[name, s] for s in both]):.3f}"
        for name in names
    )
    return Measured(
        [Part("rank correlation", rho, claim.margin.value)],
        f"rank correlation over {len(names)} variants {signed(rho.interval(), 2)} {seeds_of(both)}; leakage/fall: "
        f"{pairs}",
    )


def _same_training(variant: Variant, main: Variant) -> bool:
    return all(setting(variant, key) == setting(main, key) for key in ("learning_rate", "steps"))


def _spearman(left: list[float], right: list[float]) -> float | None:
    """Return Spearman's rank correlation; None where one side does not vary."""
    from scipy.stats import rankdata

    a, b = rankdata(left), rankdata(right)
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
