"""Tables: one model, rendered as Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Callable

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.table import Table
from rlsd_cli.report.tables.accuracy import differences, table2
from rlsd_cli.report.tables.beside import beside
from rlsd_cli.report.tables.costs import costs
from rlsd_cli.report.tables.exposure import exposure_bits
from rlsd_cli.report.tables.paradigms import table1
from rlsd_cli.report.tables.planted import planted_rates
from rlsd_cli.report.tables.power import power
from rlsd_cli.report.tables.properties import table3
from rlsd_cli.report.tables.summary import summary

TABLES: dict[str, Callable[[Comparison], Table]] = {
    "summary": summary,
    "table1": table1,
    "table2": table2,
    "differences": differences,
    "table3": table3,
    "costs": costs,
    "planted_rates": planted_rates,
    "exposure_bits": exposure_bits,
    "power": power,
    "beside": beside,
}

__all__ = ["TABLES", "Table"]
