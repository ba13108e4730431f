"""Table 3: stability, sustained improvement, freedom from leakage, each with the evidence behind it."""

from __future__ import annotations

from collections.abc import Callable

from rlsd_cli.report.claims.papers import paper_claims
from rlsd_cli.report.claims.properties import MEASURED, Property
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import properties
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.variants import teacher_source

COLUMNS = ("(a) stable objective", "(b) still gains", "(c) leakage-free", "paper says (a) (b) (c)")


def cell(measure: Callable[[Variant], Property], variant: Variant) -> Cell:
    """Return a property as a cell, empty where the runs don't log what it takes."""
    try:
        found = measure(variant)
    except Missing:
        return Cell()
    return Cell(text=f"{found.verdict}: {found.evidence}")


def _paper(variant: Variant) -> Cell:
    row = f"opsd_{teacher_source(variant)}" if variant.method == "opsd" else variant.method
    marks = properties().get(row)
    return Cell(text=" ".join(marks[name] for name in MEASURED)) if marks else Cell()


def table3(comparison: Comparison) -> Table:
    """Table 3 for every variant with rollouts.

    Raises:
        Missing: No run has any of the three pieces of evidence.
    """
    variants = [variant for variant in in_order(comparison.variants.values()) if variant.complete]
    names = styles(in_order(comparison.variants.values()))
    rows = []
    for variant in variants:
        cells = [cell(measure, variant) for measure in MEASURED.values()]
        if any(each.text for each in cells):
            rows.append((f"{names[variant.label].name} (n={len(variant.runs)})", [*cells, _paper(variant)]))
    if not rows:
        raise Missing("no finished run logs rewards, divergences or leakage in five parts of its training")
    bounds = paper_claims().thresholds
    caption = (
        "As the paper's Table 3, each cell with its evidence [95 % Student-t interval over n seeds]. "
        "(a) the arm's own objective, divergence to the teacher or reward, by tenths of the training: gain from the "
        "first to the best (chosen by the other seeds), and what is given back from there to the last; yes if "
        f"certainly less than {bounds['given_back']:g} of the gain, no if certainly more. (b) reward, last fifth minus "
        f"middle fifth: yes if certainly more than {bounds['change']:g}, no if certainly less. (c) leakage in the last "
        f"fifth: yes if certainly less than {bounds['leak_free']:g}, no if certainly more. Undecided: the interval "
        "allows both, or there is one seed."
    )
    return Table("table3", caption, COLUMNS, rows)
