"""Exposure of decoys over the training, beside GRPO's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.exposure import Exposed, all_exposed, interval, over_placebo, placebo_of
from rlsd_cli.report.figures.base import Picture, legend, seeds_text
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, inches, styles
from rlsd_cli.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rlsd_cli.report.style import ArmStyle

SHIFT = 0.09  # of the distance of two steps, from one arm's whiskers to the next one's


def _draw(axes: Axes, points: dict[int, Interval], look: ArmStyle, place: float) -> None:
    """Draw a line with whiskers, beside those of the other arms."""
    steps = np.array(list(points), dtype=float)
    gap = float(np.min(np.diff(steps))) if len(steps) > 1 else 1.0
    means = np.array([each.mean for each in points.values()])
    half = np.nan_to_num(np.array([each.high - each.mean for each in points.values()]))
    axes.errorbar(
        steps + place * SHIFT * gap,
        means,
        half,
        label=look.name,
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        elinewidth=0.6,
        capsize=1.5,
    )


def exposure(comparison: Comparison) -> Picture:
    """Draw the excess exposure of each arm over steps, and its difference from GRPO's.

    Raises:
        Missing: No run has exposure at two steps.
    """
    import matplotlib.pyplot as plt

    every = all_exposed(comparison)
    mains = {variant.label for method in {one.variant.method for one in every} if (variant := comparison.main(method))}
    found = [one for one in every if one.variant.label in mains and len(one.steps) > 1]
    if not found:
        raise Missing("exposure was measured at one step only: lower train.save_every")
    looks, placebo = styles([one.variant for one in found]), placebo_of(found)
    compared = [one for one in found if one is not placebo] if placebo else []
    figure, panels = plt.subplots(1, 2 if compared else 1, figsize=inches(PAGE, 2.3), squeeze=False)
    for place, one in enumerate(found):
        points = {step: interval(one.values(step)) for step in one.steps}
        _draw(panels[0][0], points, looks[one.variant.label], place - (len(found) - 1) / 2)
    panels[0][0].set_ylabel("Excess exposure (bits)")
    for place, one in enumerate(compared):
        _draw(panels[0][1], differences(one, placebo), looks[one.variant.label], place - (len(compared) - 1) / 2)
        panels[0][1].set_ylabel("minus GRPO (bits)")
    for axes in panels[0]:
        axes.axhline(0, color="#666666", linewidth=0.7, zorder=1)
        axes.set_xlabel("Step")
    legend(figure, list(panels[0]))
    counts = [interval(one.values(one.steps[-1])).n for one in found]
    questions = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(counts[0])
    beside = "Right: minus GRPO, which saw none, of the same questions. " if compared else ""
    caption = (
        "Exposure of decoys over the training: how far the student prefers, closed-book, the wrong reference that its "
        "teacher alone saw to wrong ones drawn alike that nobody saw, above what chance gives; step 0 is the "
        f"untrained model. {beside}Whiskers: 95 %, questions and seeds as clusters; {questions} questions. "
        f"{seeds_text([one.variant for one in found])}"
    )
    others = sorted({one.variant.label for one in every} - mains)
    return Picture(figure, caption, [f"{', '.join(others)}: see the table exposure_bits"] if others else [])


def differences(one: Exposed, placebo: Exposed | None) -> dict[int, Interval]:
    """Return a variant's excess minus GRPO's at each step that both have."""
    steps = [step for step in one.steps if placebo and step in placebo.steps]
    return {step: each for step in steps if (each := over_placebo(one, placebo, step))}
