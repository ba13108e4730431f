"""All arms in one line each: what `rlsd plot` prints first."""

from __future__ import annotations

import math
from dataclasses import replace

from rlsd_cli.report.accuracy import mean_interval
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.curves import seed_matrix
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.measures import fifths, leakage_at_the_end
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.statistics import t_interval

COLUMNS = ("Seeds", "Accuracy", "Reward", "Leakage", "Length", "s/step", "÷ GRPO")


def _end(variant: Variant, key: str, digits: int, most: float) -> Cell:
    try:
        _, values = fifths(variant, key)
    except Missing:
        return Cell()
    return Cell.of(t_interval(values[:, -1]), digits=digits, most=most)


def _leakage(variant: Variant) -> Cell:
    try:
        interval, remark = leakage_at_the_end(variant)
    except Missing:
        return Cell()
    return replace(Cell.of(interval, most=1.0), text=remark)


def _seconds(variant: Variant) -> dict[int, float]:
    """Return each seed's median step, so that the first, compiling steps don't count; {} where no run logs it."""
    import numpy as np

    try:
        _, values, seeds = seed_matrix(variant, "time/step_s")
    except Missing:
        return {}
    return dict(zip(seeds, np.median(values, axis=1).tolist(), strict=True))


def times(variant: Variant, baseline: Variant | None) -> list[Cell]:
    """Return seconds per step, and their ratio to GRPO's of the same seeds."""
    own = _seconds(variant)
    if not own:
        return [Cell(), Cell()]
    base = _seconds(baseline) if baseline is not None else {}
    ratios = [own[seed] / base[seed] for seed in own if seed in base]
    seconds = Cell.of(t_interval(list(own.values())), digits=2)
    return [seconds, Cell.of(t_interval(ratios), digits=2) if ratios else Cell()]


def _accuracy(variant: Variant) -> Cell:
    suites = suites_of(variant)
    if not suites:
        return Cell()
    try:
        return Cell.of(mean_interval(variant, suites), most=1.0)
    except Missing:
        return Cell()


def summary(comparison: Comparison) -> Table:
    """Return accuracy, reward, leakage, length and time of each variant."""
    variants = in_order(comparison.variants.values())
    names = styles(variants)
    baseline = next((variant for variant in variants if variant.method == "grpo"), None)
    rows = [
        (
            names[variant.label].name,
            [
                Cell(text=str(len(variant.runs)) + ("" if variant.complete else " (unfinished)")),
                _accuracy(variant),
                _end(variant, "reward", 3, 1.0),
                _leakage(variant),
                _end(variant, "completions/mean_length", 1, math.inf),
                *times(variant, baseline),
            ],
        )
        for variant in variants
    ]
    notes = ["A dash: the run does not log it, or is not evaluated (`rlsd eval`)."]
    if any(len(variant.runs) == 1 for variant in variants):
        notes.append("One seed: no interval over seeds.")
    caption = (
        "Arms in summary. Accuracy: mean over the held-out suites [95 % interval over seeds and questions]. Reward, "
        "leakage (share of rollouts) and length (tokens): last fifth of training [95 % Student-t interval over seeds]. "
        "Time: median step; its ratio to GRPO's is formed seed by seed. Runs of a sweep share the machine: "
        "`scripts/bench` measures the ratio with nothing beside it."
    )
    return Table("summary", caption, COLUMNS, rows, notes)
