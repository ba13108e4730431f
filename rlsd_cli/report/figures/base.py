"""What the curve figures share: axes, bands, legends, and the account of what is not in the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.curves import Curve, curve
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import ARMS, ArmStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = "Bands: 95 % Student-t intervals over seeds at each step."
BAND_FROM = 6  # seeds; with few, the interval is wider than all of them together and hides every line
MARKERS = 8  # markers along a line
LONGEST = 40  # letters of a name in a legend
LONGEST_LABEL = 26  # letters along an axis of an inch and a half


@dataclass
class Picture:
    """A figure with its caption, what it could not show, and web pages that belong to it, by suffix."""

    figure: Figure
    caption: str
    left_out: list[str] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """What an axes shows: a metric by its key in metrics.jsonl (``a+b`` is a sum), with name and unit.

    ``share`` marks a quantity in [0, 1], ``whole`` one whose axis shows all of it. ``words`` says in a caption what it
    is, where the title is too short for that.
    """

    key: str
    title: str
    unit: str
    share: bool = False
    whole: bool = False
    words: str = ""

    @property
    def said(self) -> str:
        """The quantity in a caption."""
        return self.words or self.title.lower()

    @property
    def axis(self) -> str:
        """The y axis' label, in two lines where one would be longer than the axis."""
        if not self.unit:
            return self.title
        return f"{self.title}{' ' if len(self.title + self.unit) < LONGEST_LABEL else chr(10)}({self.unit})"


REWARD = Panel("reward", "Training reward", "mean per rollout", share=True, whole=True)
ACCURACY = Panel("probe/accuracy", "Probe accuracy", "share of rollouts", share=True, whole=True)
LEAKAGE = Panel("leakage/rate", "Leakage", "share of rollouts", share=True, whole=True)
ENTROPY = Panel("entropy", "Entropy", "nats per token")
LENGTH = Panel("completions/mean_length", "Length", "tokens per rollout")
CLIP = Panel("rlsd/weight_clip_low+rlsd/weight_clip_high", "Weights clipped", "share of tokens", share=True)
OPEN_BOOK = Panel("probe/kl_forward", "KL(open ‖ closed book)", "nats per token")
TEACHER = Panel("teacher/kl_forward", "KL(teacher ‖ student)", "nats per token")
DIVERGENCE = Panel("distillation/loss", "Divergence to teacher", "nats per token")


def draw(axes: Axes, label: str, line: Curve, look: ArmStyle, position: int) -> None:
    """Draw one variant: mean, band, and thin lines for the single seeds."""
    every = max(len(line.steps) // MARKERS, 1)
    axes.plot(
        line.steps,
        line.mean,
        label=label,
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        # Staggered, so that the markers of curves that lie upon one another do not cover each other.
        markevery=(position * every // 4 % every, every),
        zorder=3,
    )
    if len(line.seeds) >= BAND_FROM:
        axes.fill_between(line.steps, line.low, line.high, color=look.colour, alpha=0.15, linewidth=0, zorder=1)
    if len(line.seeds) > 1:
        for seed in line.seeds:
            axes.plot(line.steps, seed, color=look.colour, linewidth=0.4, alpha=0.45, zorder=2)


def frame(axes: Axes, panel: Panel, lines: Iterable[Curve]) -> None:
    """Label the axes; limit y to what the seeds reached, so that wide bands of few seeds do not flatten the lines."""
    drawn = list(lines)
    axes.set_xlabel("Step")
    axes.set_ylabel(panel.axis)
    if panel.whole:
        axes.set_ylim(-0.02, 1.02)
        return
    low = min(float(np.nanmin(line.seeds)) for line in drawn)
    high = max(float(np.nanmax(line.seeds)) for line in drawn)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    low, high = low - room, high + room
    if panel.share:
        low, high = 0.0, min(high, 1.0)
    axes.set_ylim(low, high)


@dataclass
class Drawn:
    """Which variants an axes shows, and sentences about what is missing."""

    labels: list[str]
    missing: list[str]
    window: int = 1


def draw_panel(axes: Axes, panel: Panel, variants: Sequence[Variant], looks: dict[str, ArmStyle]) -> Drawn:
    """Draw one metric of several variants.

    Raises:
        Missing: None of the variants has the metric.
    """
    lines: dict[str, Curve] = {}
    missing, absent = [], []
    for variant in variants:
        try:
            lines[variant.label] = curve(variant, panel.key)
        except Missing:
            absent.append(variant.label)
            continue
        if len(lines[variant.label].steps) < 2:  # a curve of one point is a number
            missing.append(_one_point(variant.label, panel, lines.pop(variant.label)))
            continue
        have = len(lines[variant.label].seeds)
        if have < len(variant.runs):
            missing.append(f"only {have} of {len(variant.runs)} runs of {variant.label} log {panel.key}")
    if absent:
        missing.append(f"{', '.join(absent)} {'logs' if len(absent) == 1 else 'log'} no {panel.key}")
    if len({line.window for line in lines.values()}) > 1:  # the axis can state one window only
        by_label = {variant.label: variant for variant in variants}
        lines = {label: curve(by_label[label], panel.key, smooth=False) for label in lines}
    if not lines:
        raise Missing("; ".join(missing) or "there is no such run")
    for position, (label, line) in enumerate(lines.items()):
        draw(axes, looks[label].name, line, looks[label], position)
    frame(axes, panel, lines.values())
    return Drawn(list(lines), missing, max(line.window for line in lines.values()))


def _one_point(label: str, panel: Panel, line: Curve) -> str:
    value = f"{float(line.mean[0]):.3f}".replace("-", "−")
    return f"{label} has one value of {panel.key} only, {value} at step {int(line.steps[0])}: no curve"


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """Put one legend for all axes above them, each name once, in as many columns as the width allows."""
    entries: dict[str, Any] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            entries.setdefault(label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…", handle)
    if len(entries) < 2 and len(axes) < 2:
        return
    # A panel may lack an arm, so the order of appearance is not that of the arms.
    names = [look.name for look in ARMS.values()]
    entries = dict(sorted(entries.items(), key=lambda item: names.index(item[0]) if item[0] in names else len(names)))
    for columns in range(len(entries), 0, -1):
        placed = figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=columns)
        if columns == 1 or placed.get_window_extent().width <= 0.98 * figure.bbox.width:
            return
        placed.remove()


def arms(comparison: Comparison, *methods: str) -> tuple[list[Variant], list[str]]:
    """Return the variants standing for arms; the second list names the arms that have none."""
    found = {method: comparison.main(method) for method in methods}
    missing = [f"there is no run of {method}" for method, variant in found.items() if variant is None]
    variants = [variant for variant in found.values() if variant is not None]
    if not variants:
        raise Missing("; ".join(missing))
    return variants, missing


def seeds_text(variants: Iterable[Variant]) -> str:
    """Say how many seeds stand behind each variant."""
    counts = {variant.label: len(variant.runs) for variant in variants}
    if len(set(counts.values())) == 1:
        n = next(iter(counts.values()))
        return f"{n} seeds each." if n > 1 else "One seed each."
    return "Seeds: " + ", ".join(f"{label} {n}" for label, n in counts.items()) + "."


def band_text(variants: Iterable[Variant]) -> str:
    """Explain the lines and the band, as far as there are any."""
    counts = [len(variant.runs) for variant in variants]
    words = []
    if max(counts) > 1:
        words.append("Thick: mean; thin: single seeds.")
    if max(counts) >= BAND_FROM:
        words.append(BAND)
    return " ".join(words)


def smoothed_text(window: int) -> str:
    """Say how many steps are averaged."""
    return f"Running means of {window} steps." if window > 1 else ""
