"""Ours and the paper's, side by side: what each arm gains over GRPO."""

from __future__ import annotations

from rlsd_cli.report.accuracy import difference, mean_interval
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import average_accuracies
from rlsd_cli.report.style import ARMS
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.tables.accuracy import BASELINE, evaluated

COLUMNS = ("ours: accuracy", "ours: minus GRPO", "reported: accuracy", "reported: minus GRPO")


def others_name(comparison: Comparison, method: str) -> str:
    """Return the name of an arm of the user's own."""
    return comparison.of_method(method)[0].arm.title


def beside(comparison: Comparison) -> Table:
    """Return accuracy and its difference from GRPO of each arm, ours and as the paper reports them.

    Raises:
        Missing: No run is evaluated.
    """
    variants, suites, _ = evaluated(comparison)
    baseline = comparison.main(BASELINE)
    theirs = average_accuracies()
    rows = []
    others = [variant.method for variant in comparison.arms if variant.method not in ARMS]
    for method in dict.fromkeys([*ARMS, *others]):
        variant = comparison.main(method)
        mine = variant if variant in variants else None
        cells = [Cell(), Cell()]
        if mine is not None:
            cells[0] = Cell.of(mean_interval(mine, suites), most=1.0)
            if baseline is not None and baseline in variants and mine is not baseline:
                try:
                    cells[1] = Cell.signed(difference(mine, baseline, suites).interval)
                except Missing:
                    cells[1] = Cell()
        reported = theirs.get(method)
        if reported is None:
            cells += [Cell(), Cell()]
        else:
            gain = Cell(value=reported - theirs[BASELINE]) if method != BASELINE else Cell()
            cells += [Cell(value=reported), gain]
        if mine is not None or reported is not None:
            rows.append((ARMS[method].name if method in ARMS else others_name(comparison, method), cells))
    caption = (
        f"Ours beside the paper's. Ours: mean accuracy over {len(suites)} suites [95 % interval over seeds and "
        "questions], differences paired. Reported: the average column of the paper's Table 2, Qwen3-VL-8B-Instruct on "
        "five other benchmarks, as fractions; no intervals are reported. Another model and other tasks: compare signs, "
        "not sizes."
    )
    return Table("beside", caption, COLUMNS, rows)
