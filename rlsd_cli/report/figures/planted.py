"""Where the blame goes when one step is wrong: planted step against most blamed step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsd_cli.evaluation.blame import ERRORS, WORDS, Errors, Placement
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.credit.blame import measured, pooled, variants_measured
from rlsd_cli.report.credit.colours import hex_colour, ink
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import COLUMN, inches, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACEBOS = ("other_question", "surprisal")
SHOWN = ("answer", "solution")  # the paper's reference, and the one that says most


def _panel(axes: Axes, placement: Placement, name: str) -> None:
    """Draw shares of each row: one row per planted step, one column per blamed step."""
    from matplotlib.patches import Rectangle

    counts = placement.counts
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    rows, columns = counts.shape
    for row in range(rows):
        for column in range(columns):
            share = shares[row, column]
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=hex_colour(share), edgecolor="#BBBBBB", lw=0.3))
            axes.text(
                column + 0.5,
                row + 0.52,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=points(6.5),
                color=ink(share),
            )
        axes.add_patch(Rectangle((row, row), 2, 1, facecolor="none", edgecolor="#000000", lw=1.2, zorder=3))
    axes.set_xlim(-0.03, columns + 0.03)
    axes.set_ylim(rows + 0.05, -0.05)
    axes.set_xticks([i + 0.5 for i in range(columns)], [*(str(i + 1) for i in range(rows)), "ans."])
    axes.set_yticks([i + 0.5 for i in range(rows)], [str(i + 1) for i in range(rows)])
    axes.tick_params(length=0, pad=1.5)
    axes.set_title(f"r = {name}, n = {placement.n // placement.seeds}", pad=3)
    axes.set_xlabel("Step blamed most")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_placements(
    found: dict[str, Placement], label: str, seeds: int, own: dict[str, Placement] | None = None
) -> Picture:
    """Return the picture of measurements by kind of reference; those on own errors are told in the caption."""
    import matplotlib.pyplot as plt

    shown = [name for name in SHOWN if name in found]
    figure, panels = plt.subplots(1, len(shown), figsize=inches(COLUMN, 1.75), sharey=True, squeeze=False)
    for axes, name in zip(panels[0], shown, strict=True):
        _panel(axes, found[name], name)
    panels[0][0].set_ylabel("Planted wrong step")
    told = [found[name].sentence(name) for name in (*shown, *PLACEBOS) if name in found]
    told += [each.sentence(name, "own") for name, each in (own or {}).items() if name in (*SHOWN, *PLACEBOS)]
    caption = (
        f"RLSD's blame in derivations with one planted wrong step ({label}, {seeds} seed{'s' if seeds > 1 else ''} "
        "pooled): percent of the trajectories of a row whose most negative Â lies in the step of the column; framed: "
        f"at or just after the wrong step. {' '.join(told)}"
    )
    return Picture(figure, caption, [f"no measurement with {WORDS[name]}" for name in SHOWN if name not in found])


def _chosen(comparison: Comparison) -> Variant:
    """Return RLSD's variant if it was measured, else the first that was."""
    found = variants_measured(comparison)
    main = comparison.main("rlsd")
    return main if main in found and main is not None else found[0]


def planted(comparison: Comparison) -> Picture:
    """Blame of RLSD's models over all their seeds.

    Raises:
        Missing: No run was measured.
    """
    variant = _chosen(comparison)
    found, own = (_pooled(variant, errors) for errors in ERRORS)
    if not any(name in found for name in SHOWN):
        raise Missing(f"{variant.label} was measured on errors of its own only (planted_rates has them)")
    return draw_placements(found, variant.label, len(measured(variant)), own)


def _pooled(variant: Variant, errors: Errors) -> dict[str, Placement]:
    by_seed = measured(variant, errors)
    kinds = [name for name in WORDS if any(name in each for each in by_seed.values())]
    return {name: pooled(variant, name, errors) for name in kinds}
