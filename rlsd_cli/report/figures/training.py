"""Training curves of all variants: one picture with all metrics, and one for each metric."""

from __future__ import annotations

from collections.abc import Callable

from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.figures.base import (
    ACCURACY,
    BAND,
    CLIP,
    ENTROPY,
    LEAKAGE,
    LENGTH,
    OPEN_BOOK,
    REWARD,
    Drawn,
    Panel,
    Picture,
    draw_panel,
    legend,
    seeds_text,
    single,
)
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, ArmStyle, in_order, inches, styles

PANELS = (REWARD, LEAKAGE, ENTROPY, LENGTH, CLIP, OPEN_BOOK)
MOST_LINES = 7  # more than that is not legible in a panel of two inches


def shown(comparison: Comparison) -> tuple[list[Variant], list[str]]:
    """Return the variants that a picture can show together, and a sentence about those it can't."""
    variants = in_order(comparison.variants.values())
    if len(variants) <= MOST_LINES:
        return variants, []
    methods = {variant.method: variant for variant in reversed(variants)}  # the first of each arm
    kept = in_order(methods.values())
    rest = [variant.label for variant in variants if variant not in kept]
    return kept, [f"not shown, to keep the lines apart: {', '.join(rest)}"]


def overview(comparison: Comparison) -> Picture:
    """Draw all metrics of all arms, a panel each.

    Raises:
        Missing: No run has any of the metrics.
    """
    import matplotlib.pyplot as plt

    variants, left_out = shown(comparison)
    looks = styles(variants)
    figure, grid = plt.subplots(2, 3, figsize=inches(PAGE, 4.0))
    drawn = []
    for axes, panel in zip(grid.flat, PANELS, strict=True):
        try:
            result = draw_panel(axes, panel, variants, looks)
        except Missing as reason:
            axes.set_axis_off()
            axes.text(0.5, 0.5, f"{panel.title}:\nnot logged", ha="center", transform=axes.transAxes, color="#666666")
            left_out.append(f"panel '{panel.title}': {reason}")
            continue
        axes.set_title(f"{panel.title}{_who(result, variants, looks)}", fontsize="medium")
        axes.set_ylabel(panel.unit)
        drawn.append(axes)
        left_out += result.missing
    if not drawn:
        plt.close(figure)
        raise Missing("none of the runs has logged a training step")
    legend(figure, drawn)
    caption = f"Training curves of the arms. {seeds_text(variants)} {BAND}"
    return Picture(figure, caption, left_out)


def _who(drawn: Drawn, variants: list[Variant], looks: dict[str, ArmStyle]) -> str:
    """Say in the title whom a panel shows, or whom it lacks, whichever is shorter."""
    lacking = [looks[v.label].name for v in variants if v.label not in drawn.labels]
    if not lacking:
        return ""
    shown_names = [looks[label].name for label in drawn.labels]
    if len(lacking) < len(shown_names):
        return f"\n(without {', '.join(lacking)})"
    return f"\n({', '.join(shown_names)} only)"


def _all(panel: Panel, what: str) -> Callable[[Comparison], Picture]:
    def figure(comparison: Comparison) -> Picture:
        variants, left_out = shown(comparison)
        picture = single(panel, variants, f"{what} over training steps.")
        picture.left_out += left_out
        return picture

    return figure


SINGLES: dict[str, Callable[[Comparison], Picture]] = {
    "reward": _all(REWARD, "Mean reward of the rollouts"),
    "accuracy": _all(ACCURACY, "Accuracy on the probe prompts, which are never trained on,"),
    "leakage": _all(LEAKAGE, "Share of rollouts that mention a reference which the student never saw"),
    "entropy": _all(ENTROPY, "Entropy of the student's next-token distribution"),
    "length": _all(LENGTH, "Mean length of the rollouts"),
    "clip_ratio": _all(CLIP, "Share of tokens whose evidence weight is clipped"),
    "kl": _all(OPEN_BOOK, "How much a reference in the prompt still tells the policy, KL on the probe rollouts,"),
}
