"""The literature as a forest plot: each published contrast with GRPO a row, the paper's own and ours beside them."""

from __future__ import annotations

from pathlib import Path

from rlsd_cli.report.accuracy import difference
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.literature import Contrast, counts, literature_file, read_literature
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, inches, points
from rlsd_cli.statistics import Interval

PAPER = "rlsd"  # the key of the paper's own source
LETTERS = 44  # of a row's label


def forest(comparison: Comparison | None = None, path: Path | None = None) -> Picture:
    """Draw arm − GRPO in percentage points, a row per published contrast, arms side by side.

    Whiskers are drawn for our own runs only: no published contrast has an interval.

    Args:
        comparison: Our runs; without them there is no row of ours.
        path: The file of contrasts; the suite's own if None.
    """
    import matplotlib.pyplot as plt

    found = read_literature(path or literature_file())
    most = max(len(found.of_arm(arm)) for arm in found.arms)
    figure, panels = plt.subplots(
        1, len(found.arms), figsize=inches(PAGE * 1.5, 0.6 + 0.135 * (most + 3)), squeeze=False, sharey=False
    )
    missing = []
    for axes, arm in zip(panels[0], found.arms, strict=True):
        rows = found.of_arm(arm)
        labels = []
        previous = None
        for place, each in enumerate(rows):
            own = each.source == PAPER
            second_hand = found.sources[each.source].read == "note"
            axes.plot(
                each.difference,
                place,
                marker="D" if own else "o",
                markersize=points(3.4),
                markerfacecolor="#FFFFFF" if second_hand else "#0072B2" if own else "#000000",
                markeredgecolor="#0072B2" if own else "#000000",
                linestyle="none",
            )
            labels.append(_label(each))
            if previous != each.domain:
                if previous is not None:
                    axes.axhline(place - 0.5, color="#BBBBBB", linewidth=0.6)
                axes.text(
                    1.01,
                    place - 0.05,
                    each.domain,
                    transform=axes.get_yaxis_transform(),
                    ha="left",
                    va="center",
                    fontsize=points(5.2),
                    style="italic",
                    color="#666666",
                )
            previous = each.domain
        try:
            ours = _ours(comparison, arm)
        except Missing as reason:
            ours = None
            if comparison is not None:
                missing.append(f"{arm}: {reason}")
        if ours is not None:
            place = len(rows)
            axes.axhline(place - 0.5, color="#BBBBBB", linewidth=0.6)
            mean, low, high = (100 * value for value in (ours.mean, ours.low, ours.high))
            ends = [[mean - low], [high - mean]] if ours.known else None
            axes.errorbar([mean], [place], xerr=ends, fmt="s", color="#D55E00", markersize=points(3.4), capsize=2)
            labels.append("this suite's runs, testbed")
        axes.axvline(0, color="#666666", linewidth=0.8)
        axes.set_yticks(range(len(labels)), labels, fontsize=points(5.2))
        axes.set_ylim(most + 0.6, -0.6)  # rows of equal height in every panel
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("points over GRPO")
        axes.set_title(f"{arm.upper()} − GRPO")
    told = "; ".join(f"{arm.upper()}: {counts(_others(found.of_arm(arm)))}" for arm in found.arms)
    caption = (
        "Published accuracy minus GRPO's in the same table, in percentage points; never pooled: models, data and "
        "metrics differ, and no source gives an error of training. Blue diamond: the RLSD paper's own; black: others, "
        "each of whom proposes a rival arm; hollow: read in another reader's notes, not at the source; orange square: "
        f"ours, with its 95 % interval. Above GRPO by others' runs: {told}."
    )
    return Picture(figure, caption, missing)


def _others(contrasts: list[Contrast]) -> list[Contrast]:
    return [each for each in contrasts if each.source != PAPER]


def _label(contrast: Contrast) -> str:
    text = f"{contrast.source.upper()}: {contrast.model}, {contrast.data}"
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def _ours(comparison: Comparison | None, arm: str) -> Interval | None:
    """Return our paired difference from GRPO over the shared suites; None without runs.

    Raises:
        Missing: The arm or GRPO is not among the runs, or not evaluated.
    """
    if comparison is None:
        return None
    variant, baseline = comparison.main(arm), comparison.main("grpo")
    if variant is None or baseline is None:
        raise Missing(f"there is no run of {arm if variant is None else 'grpo'}")
    suites = [suite for suite in suites_of(variant) if suite in suites_of(baseline)]
    if not suites:
        raise Missing("not evaluated on a suite that GRPO is evaluated on")
    return difference(variant, baseline, suites).interval
