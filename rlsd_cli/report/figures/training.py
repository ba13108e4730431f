"""Training curves of all variants: one picture with all metrics, and one for each metric."""

from __future__ import annotations

from collections.abc import Callable

from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.figures.base import (
    ACCURACY,
    CLIP,
    ENTROPY,
    LEAKAGE,
    LENGTH,
    OPEN_BOOK,
    REWARD,
    Drawn,
    Panel,
    Picture,
    band_text,
    draw_panel,
    legend,
    seeds_text,
    smoothed_text,
)
from rlsd_cli.report.figures.paired import draw_differences, upon_baseline
from rlsd_cli.report.figures.single import single
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, ArmStyle, in_order, inches, styles

PANELS = (REWARD, LEAKAGE, ENTROPY, CLIP, OPEN_BOOK)
COLUMNS = 3
MOST_LINES = 7  # more than that is not legible in a panel of two inches


def shown(comparison: Comparison) -> tuple[list[Variant], list[str]]:
    """Return the variants that a picture can show together, and a sentence about those it can't."""
    variants = in_order(comparison.arms)
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
    panels = []
    for panel in PANELS:
        if any(len(run.series(panel.key)[0]) for variant in variants for run in variant.runs):
            panels.append(panel)
        else:
            left_out.append(f"no run logs {panel.key}")
    if not panels:
        raise Missing("none of the runs has logged a training step")
    two = [variant for variant in variants if variant.label in ("grpo", "rlsd")]
    differences = upon_baseline(REWARD, two, ["rlsd"]) or None
    count = len(panels) + (differences is not None)
    rows = -(-count // COLUMNS)
    figure, grid = plt.subplots(rows, COLUMNS, figsize=inches(PAGE, 0.3 + 1.85 * rows), squeeze=False)
    axes_used = list(grid.flat[:count])
    window = 1
    for unused in grid.flat[count:]:
        unused.remove()
    for axes, panel in zip(axes_used, panels, strict=False):
        try:
            result = draw_panel(axes, panel, variants, looks)
        except Missing as reason:  # one probe only
            left_out.append(str(reason))
            axes.remove()
            continue
        window = max(window, result.window)
        axes.set_title(f"{panel.title}{_who(result, variants, looks)}", fontsize="medium")
        axes.set_ylabel(panel.unit)
        left_out += result.missing
    caption = [
        "Training curves of the arms.",
        seeds_text(variants),
        band_text(variants),
        smoothed_text(window),
    ]
    if differences is not None:
        caption.append(draw_differences(axes_used[-1], REWARD, differences, looks).replace("Below", "Last panel"))
        axes_used[-1].set_title(f"{axes_used[-1].get_ylabel()}, reward", fontsize="medium")
        axes_used[-1].set_ylabel("mean per rollout")
    left = [axes for axes in axes_used if axes.figure is not None]
    if not left:
        plt.close(figure)
        raise Missing("no metric is logged at two steps")
    last = max(axes.get_xlim()[1] for axes in left)
    for axes in left:  # one axis for all, though probes start later
        axes.set_xlim(-0.02 * last, last)
    legend(figure, left)
    return Picture(figure, " ".join(word for word in caption if word), left_out + sft_entropy(variants))


def sft_entropy(variants: list[Variant]) -> list[str]:
    """Say that SFT's entropy is another quantity, where it is drawn."""
    if any(variant.method == "sft" and len(run.series("entropy")[0]) for variant in variants for run in variant.runs):
        return ["the entropy of sft is on the reference solutions, that of the other arms on their rollouts"]
    return []


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
        picture.left_out += left_out + (sft_entropy(variants) if panel is ENTROPY else [])
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
