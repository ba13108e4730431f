"""Claims about the distilling arms: accuracy, leakage and divergence of OPSD and OPD."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.report.claims.base import KEPT, MARGIN, NOT_SEEN, PARTS, SEEN, Finding, arm, seeds_of
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.measures import blocks, fifths, left_out_peak, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.variants import opsd_supports
from rlsd_cli.report.verdicts import UNDECIDED, judge, signed
from rlsd_cli.statistics import Interval, t_interval


def opsd_peaks(comparison: Comparison) -> Finding:
    """OPSD gains accuracy early in training and loses it again."""
    seeds, values = blocks(arm(comparison, "opsd"), "reward", PARTS)
    peak, places = left_out_peak(values)
    rise, fall = t_interval(peak - values[:, 0]), t_interval(peak - values[:, -1])
    where = float(places.mean() + 1) / PARTS
    evidence = (
        f"reward {values[:, 0].mean():.3f} at the start, {peak.mean():.3f} at the peak (after {where:.0%} of training)"
        f", {values[:, -1].mean():.3f} at the end; rise {signed(rise)}, fall {signed(fall)} {seeds_of(seeds)}"
    )
    if not fall.known:
        return Finding(UNDECIDED, evidence)
    if rise.low > 0 and fall.low > 0:
        return Finding(SEEN if where <= 0.5 else NOT_SEEN, evidence)
    return Finding(NOT_SEEN if fall.high <= MARGIN or rise.high <= 0 else UNDECIDED, evidence)


def leakage_rises(comparison: Comparison) -> Finding:
    """OPSD's leakage rises and never falls back."""
    seeds, values = blocks(arm(comparison, "opsd"), "leakage/rate")
    rise = t_interval(values[:, -1] - values[:, 0])
    evidence = f"leakage {values[:, 0].mean():.3f} in the first tenth, {values[:, -1].mean():.3f} in the last; rise "
    evidence += signed(rise)
    if not rise.known:
        return Finding(UNDECIDED, f"{evidence} {seeds_of(seeds)}")
    steps = np.diff(values, axis=1)
    each = 1 - 0.05 / steps.shape[1]  # Bonferroni: nine steps are looked at
    falls = [t_interval(steps[:, i], each) for i in range(steps.shape[1])]
    worst = min(falls, key=lambda interval: interval.high)
    evidence += f"; largest step down {min(interval.mean for interval in falls):+.3f} {seeds_of(seeds)}"
    if worst.high < -MARGIN:
        return Finding(NOT_SEEN, evidence)
    return Finding(judge(rise, 0.0, SEEN, NOT_SEEN), evidence)


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


def _kl_ratio(variant: Variant) -> tuple[tuple[int, ...], Interval, NDArray]:
    try:
        seeds, values = blocks(variant, "teacher/kl_forward", PARTS)
    except Missing:
        seeds, values = blocks(variant, "distillation/loss", PARTS)
    if (values <= 0).any():
        raise Missing(f"the divergence of {variant.label} is not positive throughout, so it has no ratio")
    logs = t_interval(np.log(values[:, -1] / values[:, 0]))
    mean, low, high = (float(np.exp(part)) for part in logs[:3])
    return seeds, Interval(mean, low, high, logs.n), values


def _kl_text(variant: Variant, seeds: tuple[int, ...], ratio: Interval, values: NDArray) -> str:
    ends = f" [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio.known else ""
    return (
        f"{variant.label}: {values[:, 0].mean():.3f} nats per token at the start, {values[:, -1].mean():.3f} at the "
        f"end, ratio {ratio.mean:.2f}{ends} {seeds_of(seeds)}"
    )


def kl_stagnates(comparison: Comparison) -> Finding:
    """OPSD's divergence to its teacher stays near its first value."""
    variant = arm(comparison, "opsd")
    seeds, ratio, values = _kl_ratio(variant)
    return Finding(judge(ratio, KEPT, SEEN, NOT_SEEN), _kl_text(variant, seeds, ratio, values))


def kl_of_opd_falls(comparison: Comparison) -> Finding:
    """OPD's divergence to its external teacher falls."""
    variant = arm(comparison, "opd")
    seeds, ratio, values = _kl_ratio(variant)
    verdict = judge(ratio, KEPT, yes=NOT_SEEN, no=SEEN)
    return Finding(verdict, _kl_text(variant, seeds, ratio, values))
