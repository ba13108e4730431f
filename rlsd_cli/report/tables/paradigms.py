"""Table 1: the paradigms, with the leakage column measured."""

from __future__ import annotations

from dataclasses import replace

from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.curves import seed_matrix
from rlsd_cli.report.measures import leakage_at_the_end
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import paradigms
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.tables.summary import times
from rlsd_cli.statistics import t_interval

COLUMNS = (
    "Data",
    "Signal",
    "Direction from",
    "Efficiency, paper",
    "Tokens/step",
    "Passes: trained + teacher's",
    "s/step ÷ GRPO",
    "Leakage, paper",
    "Leakage, measured",
)


def passes(variant: Variant) -> str:
    """Return how many passes over the completions a step makes beside sampling: with gradient, and by teachers."""
    arm = variant.arm.arm
    if arm is None or not variant.trained:
        return ""
    return f"1 + {len(arm.views_of())}"


def tokens_per_step(variant: Variant) -> Cell:
    """Return the prompt and completion tokens that a step trains on, as the trainer counts them."""
    try:
        steps, values, _ = seed_matrix(variant, "num_tokens")
    except Missing:
        return Cell()
    each = values[:, -1] / steps[-1]
    return Cell.of(t_interval(each), digits=0)


def table1(comparison: Comparison) -> Table:
    """Table 1: what each arm learns from, and how often its rollouts cite a reference that they never saw.

    Raises:
        Missing: No run counts leakage.
    """
    words = paradigms()
    variants = in_order(comparison.variants.values())
    names = styles(variants)
    baseline = comparison.main("grpo")
    rows, measured = [], False
    for variant in variants:
        try:
            interval, remark = leakage_at_the_end(variant)
            leakage, measured = replace(Cell.of(interval, most=1.0), text=remark), True
        except Missing:
            leakage = Cell()
        known = words.get(variant.method, {})
        data, signal, direction, efficiency, paper = (
            Cell(text=known.get(key, "")) for key in ("data", "signal", "direction", "efficiency", "leakage")
        )
        costs = [tokens_per_step(variant), Cell(text=passes(variant)), times(variant, baseline)[1]]
        cells = [data, signal, direction, efficiency, *costs, paper, leakage]
        rows.append((f"{names[variant.label].name} (n={len(variant.runs)})", cells))
    if not measured:
        raise Missing("no run logs leakage/rate")
    caption = (
        "As the paper's Table 1. Words: reported by the paper (a dash where it has no such row or cell). Measured: "
        "share of closed-book rollouts in the last fifth of training that mention a reference which they never saw, "
        "mean [95 % Student-t interval over n seeds]; (probes): on the probe prompts, where an arm samples "
        "nothing else; (suites): of the untrained model, on the held-out suites. Efficiency measured: prompt and "
        "completion tokens of a step; passes over the completions beside sampling, the student's with gradient + the "
        "teachers' without; median seconds of a step over GRPO's of the same seed, runs of a sweep sharing the machine."
    )
    return Table("table1", caption, COLUMNS, rows)
