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

COLUMNS = ("Seeds", "Accuracy", "Reward", "Leakage", "Length", "s/step")


def _end(variant: Variant, key: str, digits: int, most: float) -> Cell:
    try:
        _, values = fifths(variant, key)
    except Missing:
        return Cell()
    return Cell.of(t_interval(values[:, -1]), digits=digits, most=most)


def _leakage(variant: Variant) -> Cell:
    try:
        interval, probed = leakage_at_the_end(variant)
    except Missing:
        return Cell()
    return replace(Cell.of(interval, most=1.0), text="(probes)" if probed else "")


def _seconds(variant: Variant) -> Cell:
    """Median over the steps of each seed, so that the first, compiling steps don't count."""
    import numpy as np

    try:
        _, values, _ = seed_matrix(variant, "time/step_s")
    except Missing:
        return Cell()
    return Cell.of(t_interval(np.median(values, axis=1)), digits=2)


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
    rows = [
        (
            names[variant.label].name,
            [
                Cell(text=str(len(variant.runs)) + ("" if variant.complete else " (unfinished)")),
                _accuracy(variant),
                _end(variant, "reward", 3, 1.0),
                _leakage(variant),
                _end(variant, "completions/mean_length", 1, math.inf),
                _seconds(variant),
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
        "Time: median step."
    )
    return Table("summary", caption, COLUMNS, rows, notes)
