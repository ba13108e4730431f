"""The paper's own numbers (experiments/paper_reported.yaml): shown beside ours, never mixed with them."""

from __future__ import annotations

import functools
from typing import Any

from rlsd_cli.arms.configure import presets_dir
from rlsd_cli.config.layers import read_yaml
from rlsd_cli.errors import UserError
from rlsd_cli.report.cards import BASE_CARD, built_in_cards
from rlsd_cli.report.table import Cell, Table


@functools.cache
def paper() -> dict[str, Any]:
    """Return the reported numbers.

    Raises:
        UserError: The file is missing or is no YAML mapping.
    """
    return read_yaml(presets_dir() / "paper_reported.yaml")


def paradigms() -> dict[str, dict[str, str]]:
    """Return Table 1's words by method."""
    return paper()["table1"]["rows"]


def properties() -> dict[str, dict[str, str]]:
    """Return Table 3's marks by row name: stability, improvement, leakage_free."""
    return paper()["table3"]["rows"]


def names_by_method() -> dict[str, str]:
    """Return the names of rows of the paper's tables by method."""
    return {card.name: card.title for card in (BASE_CARD, *built_in_cards())}


def average_accuracies() -> dict[str, float]:
    """Return the last column of the paper's Table 2 by method, as fractions."""
    rows = paper()["table2"]["rows"]
    return {method: float(rows[name][-1]) / 100 for method, name in names_by_method().items() if name in rows}


def difference_of(table: str, upper: str, lower: str) -> float:
    """Return the difference of two rows' averages in a table of the paper, as a fraction.

    Raises:
        UserError: The file lacks the table or a row.
    """
    rows = paper().get(table, {}).get("rows", {})
    for name in (upper, lower):
        if name not in rows:
            raise UserError(f"paper_reported.yaml has no row '{name}' in {table}: fix the claim that names it.")
    return (float(rows[upper][-1]) - float(rows[lower][-1])) / 100


def reported_table2() -> Table:
    """Return the paper's Table 2 as it was printed, marked as theirs."""
    data = paper()["table2"]
    columns = data["columns"]
    rows = [(name, [Cell(value=float(v), digits=2) for v in values]) for name, values in data["rows"].items()]
    caption = f"Reported by the paper, not ours: its Table 2 ({data['setting']}). Source: {data['source']}."
    return Table("table2_reported", caption, columns, rows, [data["note"]])


def reported_figure1b() -> Table:
    """Return the bars of the paper's Fig. 1(b) as numbers, marked as theirs."""
    data = paper()["figure1b"]
    rows = [(name, [Cell(value=float(v), digits=1) for v in values]) for name, values in data["rows"].items()]
    caption = f"Reported by the paper, not ours: the bars of its Fig. 1(b). Source: {data['source']}."
    return Table("fig1b_reported", caption, data["columns"], rows, [data["note"]])
