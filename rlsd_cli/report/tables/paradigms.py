"""Table 1: the paradigms, with the leakage column measured."""

from __future__ import annotations

from dataclasses import replace

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.measures import leakage_at_the_end
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import paradigms
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table

COLUMNS = ("Data", "Signal", "Direction from", "Leakage, paper", "Leakage, measured")


def table1(comparison: Comparison) -> Table:
    """Table 1: what each arm learns from, and how often its rollouts cite a reference that they never saw.

    Raises:
        Missing: No run counts leakage.
    """
    words = paradigms()
    variants = in_order(comparison.variants.values())
    names = styles(variants)
    rows, measured = [], False
    for variant in variants:
        try:
            interval, remark = leakage_at_the_end(variant)
            leakage, measured = replace(Cell.of(interval, most=1.0), text=remark), True
        except Missing:
            leakage = Cell()
        known = words.get(variant.method, {})
        texts = [Cell(text=known.get(key, "")) for key in ("data", "signal", "direction", "leakage")]
        rows.append((f"{names[variant.label].name} (n={len(variant.runs)})", [*texts, leakage]))
    if not measured:
        raise Missing("no run logs leakage/rate")
    caption = (
        "As the paper's Table 1. Words: reported by the paper (a dash where it has no such row or cell). Measured: "
        "share of closed-book rollouts in the last fifth of training that mention a reference which they never saw, "
        "mean [95 % Student-t interval over n seeds]; (probes): on the probe prompts, where an arm samples "
        "nothing else; (suites): of the untrained model, on the held-out suites."
    )
    return Table("table1", caption, COLUMNS, rows)
