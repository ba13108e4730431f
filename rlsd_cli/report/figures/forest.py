"""The literature as a forest plot: each published contrast with GRPO a row, the paper's own and ours beside them."""

from __future__ import annotations

from pathlib import Path

from rlsd_cli.report.accuracy import difference
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.literature import Contrast, counts, literature_file, read_literature
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import ARMS, PAGE, inches, points
from rlsd_cli.statistics import Interval

PAPER = "rlsd"  # the key of the paper's own source
LETTERS = 72  # of a row's label
PUBLISHED = "#444444"  # no arm's colour


def forest(comparison: Comparison | None = None, path: Path | None = None) -> Picture:
    """Draw arm − GRPO in percentage points, a row per published contrast, arms side by side.

    Whiskers are drawn for our own runs only: no published contrast has an interval.

    Args:
        comparison: Our runs; without them there is no row of ours.
        path: The file of contrasts; the suite's own if None.
    """
    import matplotlib.pyplot as plt

    found = read_literature(path or literature_file())
    counted = [len(found.of_arm(arm)) + (comparison is not None) for arm in found.arms]
    figure, panels = plt.subplots(
        len(found.arms),
        1,
        figsize=inches(PAGE, 0.55 * len(found.arms) + 0.135 * sum(counted)),
        squeeze=False,
        height_ratios=[count + 0.2 for count in counted],  # rows of equal height in every panel
    )
    missing = []
    for axes, arm, count in zip(panels[:, 0], found.arms, counted, strict=True):
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
                markerfacecolor="#FFFFFF" if second_hand else PUBLISHED,
                markeredgecolor=PUBLISHED,
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
            axes.errorbar(
                [mean], [place], xerr=ends, fmt="s", color=ARMS[arm].colour, markersize=points(3.4), capsize=2
            )
            labels.append("this suite's runs, testbed")
        axes.axvline(0, color="#666666", linewidth=0.8)
        axes.set_yticks(range(len(labels)), labels, fontsize=points(5.2))
        axes.set_ylim(count - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("points over GRPO")
        axes.set_title(f"{ARMS[arm].name} − GRPO")
    told = "; ".join(f"{arm.upper()}: {counts(_others(found.of_arm(arm)))}" for arm in found.arms)
    caption = (
        "Published accuracy minus GRPO's in the same table, in percentage points; never pooled: models, data and "
        "metrics differ, and no source gives an error of training. Diamond: the RLSD paper's own; circles: others', "
        "each of whom proposes a rival arm; hollow: read in another reader's notes, not at the source; square in the "
        f"arm's colour: ours, with its 95 % interval. Above GRPO by others' runs: {told}."
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
