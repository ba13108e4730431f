"""Where an arm ends as a function of one setting: the learning rate, and how often the base cites."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rlsd_cli.config.recipe import is_base, parse
from rlsd_cli.report.claims.measures.course import reward_and_peak
from rlsd_cli.report.comparison import Comparison, Variant, settings
from rlsd_cli.report.figures.base import Picture, legend
from rlsd_cli.report.measures import fifths
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, ArmStyle, inches, logarithmic, styles

RATE = "train.learning_rate"
PATH = "model.path"
NEEDED = 2  # values of the setting


def learning_rate(variant: Variant) -> float | None:
    """Return the learning rate of a variant."""
    value = variant.option(RATE)
    return float(value) if isinstance(value, int | float) else None


def citing(variant: Variant) -> float | None:
    """Return how often a step of the base's open-book texts cites, its dial; None for another model."""
    base = str(variant.option(PATH, ""))
    return parse(base).citing if is_base(base) else None


def groups(
    comparison: Comparison, of: Callable[[Variant], float | None], keys: tuple[str, ...]
) -> list[list[tuple[float, Variant]]]:
    """Return the variants that differ in one setting alone, in its order, where it has two values or more.

    Args:
        comparison: The runs.
        of: From a variant to the value of the setting.
        keys: The dotted keys that this setting decides.
    """
    found: dict[str, list[tuple[float, Variant]]] = defaultdict(list)
    for variant in comparison.arms:
        value = of(variant)
        if value is not None:
            rest = {key: each for key, each in settings(variant.runs[0].config).items() if key not in keys}
            if PATH in keys:  # of the base's dials this one alone
                rest[PATH] = parse(str(variant.option(PATH))).model_dump(exclude={"citing"})
            found[repr((variant.method, sorted(rest.items(), key=str)))].append((value, variant))
    ordered = [sorted(members, key=lambda each: each[0]) for members in found.values()]
    return [members for members in ordered if len({value for value, _ in members}) >= NEEDED]


def rates(comparison: Comparison) -> Picture:
    """Draw reward at the end, reward at the peak, and leakage at the end against the learning rate, a line per arm.

    Raises:
        Missing: No arm was trained with two learning rates.
    """
    found = groups(comparison, learning_rate, (RATE,))
    if not found:
        raise Missing("no arm was trained with two learning rates")
    picture = _maps(found, "Learning rate", log=True)
    picture.caption = (
        "Where each arm ends as a function of its learning rate: reward in the last fifth of the training, at the "
        f"twentieth where the other seeds peak, and leakage in the last fifth. {_seeds(found)}"
    )
    return picture


def dose(comparison: Comparison) -> Picture:
    """Draw leakage and reward at the end against how often the base's open-book texts cite, a line per variant.

    Raises:
        Missing: No variant was trained on two bases that differ in it.
    """
    found = groups(comparison, citing, (PATH,))
    if not found:
        raise Missing("no arm was trained on two bases that cite at different rates (micro-base:citing=0.5 and so on)")
    picture = _maps(found, "P(a step cites), open book", log=False)
    steps = found[0][0][1].option("task.operations", 1)
    picture.caption = (
        "Dose and response: what each variant comes to leak, and its reward, as a function of p, how often a step of "
        f"its base's open-book texts cites; dotted: texts of {steps} steps that cite at all, 1 − (1 − p)^{steps}. "
        f"{_seeds(found)}"
    )
    axes, dial = picture.figure.axes[2], np.linspace(0, max(value for each in found for value, _ in each), 50)
    axes.plot(dial, 1 - (1 - dial) ** steps, color="#666666", linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    return picture


def _seeds(found: Sequence[Sequence[tuple[float, Variant]]]) -> str:
    counts = sorted({len(variant.runs) for members in found for _, variant in members})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Line: mean; dots: seeds ({span} for each value)."


def _at(variant: Variant, column: int) -> np.ndarray:
    """Return per seed the reward at the end, at the peak, or the leakage at the end."""
    if column == 1:
        return reward_and_peak(variant)[2]
    return fifths(variant, "reward" if column == 0 else "leakage/rate")[1][:, -1]


def _maps(found: Sequence[Sequence[tuple[float, Variant]]], label: str, *, log: bool) -> Picture:
    import matplotlib.pyplot as plt

    looks = _looks(found)
    figure, grid = plt.subplots(1, 3, figsize=inches(PAGE, 2.5), sharex=True)
    left_out = []
    for column, (axes, name) in enumerate(
        zip(grid, ("Reward at the end", "Reward at the peak", "Leakage at the end"), strict=True)
    ):
        for members, look in zip(found, looks, strict=True):
            points = []
            for value, variant in members:
                try:
                    points.append((value, _at(variant, column)))
                except Missing as reason:
                    left_out.append(str(reason))
            if not points:
                continue
            axes.plot(
                [value for value, _ in points],
                [float(values.mean()) for _, values in points],
                color=look.colour,
                linestyle=look.line,
                marker=look.marker,
                label=look.name,
                zorder=3,
            )
            for value, values in points:
                axes.plot([value] * len(values), values, ".", color=look.colour, markersize=2.5, alpha=0.6, zorder=2)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel(label)
        axes.set_ylabel(name)
        if log:
            logarithmic(axes.xaxis)
            ticks = sorted({value for members in found for value, _ in members})
            axes.set_xticks(ticks, [f"{value:g}".replace("e-0", "e-") for value in ticks], rotation=45)
    legend(figure, list(grid))
    return Picture(figure, "", list(dict.fromkeys(left_out)))


def _looks(found: Sequence[Sequence[tuple[float, Variant]]]) -> list[ArmStyle]:
    """Return a style per line: the arm's own for its first, shades for more of one arm; named by what they share."""
    firsts = [members[0][1] for members in found]
    names = [common_name([variant.label for _, variant in members]) for members in found]
    titles = [
        first.arm.title if name in ("", first.method) else name for first, name in zip(firsts, names, strict=True)
    ]
    order = sorted(range(len(firsts)), key=lambda i: titles[i] != firsts[i].arm.title)
    shades = styles([Variant(f"{i:03d}", firsts[place].runs) for i, place in enumerate(order)])
    return [replace(shades[f"{order.index(i):03d}"], name=titles[i]) for i in range(len(firsts))]


def common_name(labels: Sequence[str]) -> str:
    """Return what the labels of a line begin with, without the setting's value: ``opsd`` of opsd-2e-5 and opsd-1e-4."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*labels, strict=False))
    return "".join(letters[0] for letters in alike).rstrip("0123456789.e+-_=( ")
