"""Claims about the distilling arms: accuracy, leakage and divergence of OPSD and OPD."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.report.claims.base import KEPT, MARGIN, NOT_SEEN, PARTS, SEEN, Finding, arm, seeds_of
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.measures import blocks, fifths, left_out_peak, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.variants import opsd_supports
from rlsd_cli.report.verdicts import UNDECIDED, judge, judge_within, signed
from rlsd_cli.statistics import Interval, t_interval


def _peak(comparison: Comparison) -> tuple[tuple[int, ...], NDArray, Interval, Interval, NDArray]:
    """Return seeds, reward by parts (n_seeds, PARTS), rise to the peak, fall from it, and reward at the peak."""
    seeds, values = blocks(arm(comparison, "opsd"), "reward", PARTS)
    peak, _ = left_out_peak(values)
    return seeds, values, t_interval(peak - values[:, 0]), t_interval(peak - values[:, -1]), peak


def opsd_falls(comparison: Comparison) -> Finding:
    """OPSD gains accuracy and loses it again."""
    seeds, values, rise, fall, peak = _peak(comparison)
    evidence = (
        f"reward {values[:, 0].mean():.3f} at the start, {peak.mean():.3f} at the peak, {values[:, -1].mean():.3f} at "
        f"the end; rise {signed(rise)}, fall {signed(fall)} {seeds_of(seeds)}"
    )
    if not fall.known:
        return Finding(UNDECIDED, evidence)
    if rise.low > 0 and fall.low > 0:
        return Finding(SEEN, evidence)
    return Finding(NOT_SEEN if fall.high <= MARGIN or rise.high <= 0 else UNDECIDED, evidence)


def opsd_peaks_early(comparison: Comparison) -> Finding:
    """OPSD's peak lies in the first half of the training."""
    seeds, values, _, fall, _ = _peak(comparison)
    if fall.known and fall.high <= MARGIN:
        raise Missing("opsd does not fall from a peak")
    places = t_interval((values.argmax(axis=1) + 0.5) / PARTS).within(0.0, 1.0)
    ends = f" [{places.low:.0%}, {places.high:.0%}]" if places.known else ""
    evidence = f"peak after {places.mean:.0%}{ends} of the training {seeds_of(seeds)}"
    return Finding(judge_within(places, 0.0, 0.5, SEEN, NOT_SEEN), evidence)


def leakage_rises(comparison: Comparison) -> Finding:
    """OPSD's leakage rises and never falls back."""
    seeds, values = blocks(arm(comparison, "opsd"), "leakage/rate")
    peak, _ = left_out_peak(values)
    rise, fall = t_interval(values[:, -1] - values[:, 0]), t_interval(peak - values[:, -1])
    evidence = (
        f"leakage {values[:, 0].mean():.3f} in the first tenth, {peak.mean():.3f} at the highest, "
        f"{values[:, -1].mean():.3f} in the last; rise {signed(rise)}, fall from the highest {signed(fall)} "
        f"{seeds_of(seeds)}"
    )
    if not rise.known:
        return Finding(UNDECIDED, evidence)
    steps = np.diff(values, axis=1)
    each = 1 - 0.05 / steps.shape[1]  # Bonferroni: nine steps are looked at
    steps_down = any(t_interval(column, each).high < -MARGIN for column in steps.T)
    if steps_down or fall.low > MARGIN or rise.high <= 0:
        return Finding(NOT_SEEN, evidence)
    return Finding(SEEN if rise.low > 0 and fall.high <= MARGIN else UNDECIDED, evidence)


def leakage_order(comparison: Comparison) -> Finding:
    """Teacher's top-1 leaks more than the full distribution, and that more than student's top-1."""
    found = opsd_supports(comparison)
    lacking = [name for name in ("full", "teacher-top-1", "student-top-1") if name not in found]
    if lacking:
        raise Missing(f"there is no run of opsd with {' and '.join(lacking)}")
    means = {}
    for name, variant in found.items():
        if not variant.complete:
            raise Missing(f"the runs of {variant.label} are unfinished")
        seeds, values = fifths(variant, "leakage/rate")
        means[name] = seeds, values.mean(axis=1)
    pairs = (("teacher-top-1", "full"), ("full", "student-top-1"))
    verdicts, texts = [], []
    for more, less in pairs:
        common, left, right = matched(means[more], means[less])
        gap = t_interval(left - right)
        verdicts.append(judge(gap, 0.0, SEEN, NOT_SEEN))
        texts.append(f"{more} − {less} {signed(gap)} {seeds_of(common)}")
    verdict = SEEN if set(verdicts) == {SEEN} else NOT_SEEN if NOT_SEEN in verdicts else UNDECIDED
    return Finding(verdict, "leakage over the whole training: " + "; ".join(texts))


def _kl_ratio(variant: Variant, lowest: bool) -> tuple[Interval, str]:
    """Return the KL at the end, or at its lowest, over that at the start, with the evidence in words.

    The lowest part is, as for peaks, chosen by the other seeds.
    """
    try:
        seeds, values = blocks(variant, "teacher/kl_forward", PARTS)
    except Missing:
        seeds, values = blocks(variant, "distillation/loss", PARTS)
    if (values <= 0).any():
        raise Missing(f"the divergence of {variant.label} is not positive throughout, so it has no ratio")
    chosen = -left_out_peak(-values)[0] if lowest else values[:, -1]
    logs = t_interval(np.log(chosen / values[:, 0]))
    mean, low, high = (float(np.exp(part)) for part in logs[:3])
    ends = f" [{low:.2f}, {high:.2f}]" if logs.known else ""
    minimum = f"{chosen.mean():.3f} at the lowest, " if lowest else ""
    text = (
        f"{variant.label}: {values[:, 0].mean():.3f} nats per token at the start, {minimum}{values[:, -1].mean():.3f} "
        f"at the end; {'lowest' if lowest else 'end'} over start {mean:.2f}{ends} {seeds_of(seeds)}"
    )
    return Interval(mean, low, high, logs.n), text


def kl_stagnates(comparison: Comparison) -> Finding:
    """OPSD's KL to its teacher never gets far below its first value."""
    ratio, evidence = _kl_ratio(arm(comparison, "opsd"), lowest=True)
    return Finding(judge(ratio, KEPT, SEEN, NOT_SEEN), evidence)


def kl_of_opd_falls(comparison: Comparison) -> Finding:
    """OPD's KL to its external teacher falls."""
    ratio, evidence = _kl_ratio(arm(comparison, "opd"), lowest=False)
    return Finding(judge(ratio, KEPT, yes=NOT_SEEN, no=SEEN), evidence)
