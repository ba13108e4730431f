"""The paper's own numbers (experiments/paper_reported.yaml): shown beside ours, never mixed with them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

from rlsd_cli.errors import UserError
from rlsd_cli.report.table import Cell, Table

PLACES = (
    Path(__file__).parents[2] / "experiments" / "paper_reported.yaml",
    Path(__file__).parents[1] / "presets" / "paper_reported.yaml",
)


@functools.cache
def paper() -> dict[str, Any]:
    """Return the reported numbers.

    Raises:
        UserError: The file is missing or no YAML mapping.
    """
    for place in PLACES:
        if place.is_file():
            try:
                value = yaml.safe_load(place.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError):
                value = None
            if isinstance(value, dict):
                return value
            raise UserError(f"{place} is not readable as YAML: restore it from the repository.")
    raise UserError(f"{PLACES[0]} is missing: restore it from the repository.")


def paradigms() -> dict[str, dict[str, str]]:
    """Return Table 1's words by method."""
    return paper()["table1"]["rows"]


def properties() -> dict[str, dict[str, str]]:
    """Return Table 3's marks by row name: stability, improvement, leakage_free."""
    return paper()["table3"]["rows"]


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
