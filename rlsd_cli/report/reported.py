"""The paper's own numbers (experiments/paper_reported.yaml): shown beside ours, never mixed with them."""

from __future__ import annotations

import functools
from typing import Any

from rlsd_cli.arms.configure import presets_dir
from rlsd_cli.config.layers import read_yaml
from rlsd_cli.report.style import ARMS
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


def average_accuracies() -> dict[str, float]:
    """Return the last column of the paper's Table 2 by method, as fractions."""
    data = paper()["table2"]
    names = {look.name: method for method, look in ARMS.items()}
    return {names[row]: float(values[-1]) / 100 for row, values in data["rows"].items()}


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
