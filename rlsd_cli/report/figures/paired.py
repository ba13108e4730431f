"""What lies upon GRPO in a picture, drawn as its difference from GRPO, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.report.claims.papers import paper_claims
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.curves import SMOOTHED_FROM, WINDOW, running_mean, seed_matrix
from rlsd_cli.report.figures.base import BAND_FROM, ENTROPY, LEAKAGE, LENGTH, Panel
from rlsd_cli.report.measures import fifths, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import ArmStyle
from rlsd_cli.statistics import t_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE = "grpo"
UPON = 0.04  # of the axis: curves nearer than that on average hide each other
MOST = 3  # differences in one panel


class Paired(NamedTuple):
    """A variant minus GRPO: steps (n_steps,), differences (n_seeds, n_steps)."""

    variant: Variant
    baseline: Variant
    steps: NDArray
    values: NDArray


def paired(variant: Variant, baseline: Variant, key: str) -> Paired:
    """Return the differences on the seeds and steps that both have, smoothed as curves are.

    Raises:
        Missing: They share none.
    """
    (steps, ours, seeds), (others, theirs, their_seeds) = seed_matrix(variant, key), seed_matrix(baseline, key)
    both = np.intersect1d(steps, others)
    if len(both) < 2:
        raise Missing(f"{variant.label} and {baseline.label} share fewer than two steps with {key}")
    _, left, right = matched(
        (seeds, ours[:, np.searchsorted(steps, both)]), (their_seeds, theirs[:, np.searchsorted(others, both)])
    )
    values = left - right
    if len(both) >= SMOOTHED_FROM and np.all(np.diff(both) == 1):
        values = running_mean(values, WINDOW)
    return Paired(variant, baseline, both, values)


def upon_baseline(panel: Panel, variants: Sequence[Variant], always: Sequence[str] = ()) -> list[Paired]:
    """Return the variants that GRPO's curve can't be told from in a panel, and those named in any case."""
    baseline = next((variant for variant in variants if variant.label == BASELINE), None)
    if baseline is None:
        return []
    found, ranges = [], []
    for variant in variants:
        try:
            _, values, _ = seed_matrix(variant, panel.key)
        except Missing:
            continue
        ranges += [values.min(), values.max()]
        if variant is not baseline:
            try:
                found.append(paired(variant, baseline, panel.key))
            except Missing:
                continue
    extent = 1.0 if panel.whole else float(max(ranges) - min(ranges)) if ranges else 0.0
    near = [
        each
        for each in found
        if each.variant.label in always or np.abs(each.values.mean(axis=0)).mean() < UPON * extent
    ]
    return near[:MOST]


def margin_of(panel: Panel, pair: Paired) -> float | None:
    """Return the smallest difference that counts: that of the claim about such a number, in the number's own unit."""
    claims = {claim.key: claim for claim in paper_claims().claims}
    if panel.key == LEAKAGE.key:
        return claims["rlsd_does_not_leak"].margin.value
    if panel.key == LENGTH.key:  # a share of GRPO's
        return claims["rlsd_keeps_length"].margin.value * float(fifths(pair.baseline, panel.key)[1][:, -1].mean())
    if panel.key == ENTROPY.key:
        _, values = fifths(pair.baseline, panel.key)
        return claims["rlsd_keeps_entropy"].margin.value * float(values[:, 0].mean() - values[:, 1:].mean())
    return claims["rlsd_above"].margin.value if panel.key in ("reward", "probe/accuracy") else None


def draw_differences(axes: Axes, panel: Panel, pairs: Sequence[Paired], looks: dict[str, ArmStyle]) -> str:
    """Draw the differences with zero and the margin; return the sentence about them."""
    low, high = 0.0, 0.0
    for pair in pairs:
        look = looks[pair.variant.label]
        mean, lower, upper = t_band(pair.values)
        axes.plot(pair.steps, mean, color=look.colour, linestyle=look.line, zorder=3)
        if len(pair.values) >= BAND_FROM:
            axes.fill_between(pair.steps, lower, upper, color=look.colour, alpha=0.15, linewidth=0, zorder=1)
        for seed in pair.values if len(pair.values) > 1 else ():
            axes.plot(pair.steps, seed, color=look.colour, linewidth=0.4, alpha=0.45, zorder=2)
        low, high = min(low, float(pair.values.min())), max(high, float(pair.values.max()))
    axes.axhline(0, color="#666666", linewidth=0.7, zorder=2)
    try:
        margin = margin_of(panel, pairs[0])
    except Missing:
        margin = None
    words = f"Below: the same minus {looks[pairs[0].baseline.label].name}'s, paired by seed"
    if margin is not None and margin > 0:
        for side in (-margin, margin):
            axes.axhline(side, color="#666666", linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
        low, high = min(low, -margin), max(high, margin)
        words += f"; dashed: the smallest difference that counts, ±{margin:.3g}"
    room = 0.1 * (high - low) or 0.05
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel("Step")
    names = {looks[pair.variant.label].name for pair in pairs}
    axes.set_ylabel(f"{names.pop()} − GRPO" if len(names) == 1 else "minus GRPO")
    return words + "."
