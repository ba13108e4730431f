"""A picture of one metric, in one column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.figures.base import Panel, Picture, band_text, draw_panel, legend, seeds_text, smoothed_text
from rlsd_cli.report.figures.paired import draw_differences, upon_baseline
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import COLUMN, ArmStyle, in_order, inches, styles


def single(
    panel: Panel,
    variants: Iterable[Variant],
    caption: str,
    looks: dict[str, ArmStyle] | None = None,
    against: Sequence[str] = (),
) -> Picture:
    """Return a one-column picture of one metric, in the variants' own styles unless ``looks`` says otherwise.

    Arms that lie upon GRPO get a second panel below: their difference from it, seed by seed, with the margin of the
    claim about it.

    Args:
        panel: The metric.
        variants: Whose.
        caption: First sentence.
        looks: Styles by label.
        against: Labels of arms whose difference from GRPO is drawn in any case.

    Raises:
        Missing: None of the variants has it.
    """
    import matplotlib.pyplot as plt

    chosen = in_order(variants)
    if not chosen:
        raise Missing("there is no such run")
    styled_as = looks or styles(chosen)
    pairs = upon_baseline(panel, chosen, against)
    rows = 2 if pairs else 1
    figure, grid = plt.subplots(
        rows,
        1,
        figsize=inches(COLUMN, 2.4 if rows == 1 else 3.5),
        sharex=True,
        squeeze=False,
        height_ratios=[1.0] if rows == 1 else [1.7, 1.0],
    )
    axes = grid[0][0]
    try:
        drawn = draw_panel(axes, panel, chosen, styled_as)
    except Missing:
        plt.close(figure)
        raise
    words = [caption, seeds_text(chosen), band_text(chosen), smoothed_text(drawn.window)]
    if pairs:
        axes.set_xlabel("")
        words.append(draw_differences(grid[1][0], panel, pairs, styled_as))
    legend(figure, [axes])
    return Picture(figure, " ".join(word for word in words if word), drawn.missing)
