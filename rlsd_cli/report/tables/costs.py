"""What every arm spends, and what it spends until it is where GRPO ends."""

from __future__ import annotations

import math
from dataclasses import replace

from rlsd_cli.report.accuracy import mean_interval
from rlsd_cli.report.claims.base import NotTestable
from rlsd_cli.report.claims.measures.efficiency import ratio_to_reach
from rlsd_cli.report.claims.registry import thresholds
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.cost import spent
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.tables.accuracy import BASELINE
from rlsd_cli.statistics import t_interval

COLUMNS = ("Accuracy", "Tokens (thousands)", "Seconds", "Tokens to GRPO's end ÷ GRPO's", "Seconds to it ÷ GRPO's")


def _total(variant: Variant, unit: str, scale: float) -> Cell:
    try:
        _, values = spent(variant, unit)
    except Missing:
        return Cell()
    return Cell.of(t_interval(values[:, -1] * scale), digits=0, most=math.inf)


def _ratio(variant: Variant, baseline: Variant | None, unit: str) -> Cell:
    if baseline is None or variant is baseline:
        return Cell()
    try:
        found = ratio_to_reach(variant, baseline, unit, thresholds()["change"])
    except (Missing, NotTestable):
        return Cell()
    cell = Cell.of(found.log_ratio.interval().mapped(math.exp), digits=2, most=math.inf)
    return replace(cell, text=f"({found.never} of {len(found.seeds)} never)") if found.never else cell


def _accuracy(variant: Variant) -> Cell:
    try:
        return Cell.of(mean_interval(variant, suites_of(variant)), most=1.0) if suites_of(variant) else Cell()
    except Missing:
        return Cell()


def costs(comparison: Comparison) -> Table:
    """Return accuracy, generated tokens and seconds of each variant, and what it takes to reach GRPO's end.

    Raises:
        Missing: No variant logs what it spends.
    """
    variants = in_order(comparison.arms)
    names, baseline = styles(variants), comparison.main(BASELINE)
    rows = [
        (
            names[variant.label].name,
            [
                _accuracy(variant),
                _total(variant, "tokens", 1e-3),
                _total(variant, "seconds", 1.0),
                _ratio(variant, baseline, "tokens"),
                _ratio(variant, baseline, "seconds"),
            ],
        )
        for variant in variants
    ]
    if all(cell == Cell() for _, cells in rows for cell in cells[1:]):
        raise Missing("no run logs the length of its rollouts or the time of its steps")
    caption = (
        "What accuracy costs. Accuracy: mean over the held-out suites. Tokens: generated for training; seconds: whole "
        "steps, beside whatever else the machine did. The last two columns: what an arm spends until its reward, five "
        f"steps taken together, is first within {thresholds()['change']:g} of GRPO's in its last fifth, over what GRPO "
        "itself spends until then; geometric means [95 % intervals] over seeds. Seeds that never get there count with "
        "all they spent and are named: the ratio is then higher."
    )
    return Table("costs", caption, COLUMNS, rows, ["A dash: not logged, or GRPO gains too little to be reached."])
