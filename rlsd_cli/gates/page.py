"""The gates as tables: for a terminal, and between two marks of docs/testbed.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError
from rlsd_cli.gates.base import Gate, Measured, gates
from rlsd_cli.gates.behaviour import Behaviour

if TYPE_CHECKING:
    from rich.table import Table

PROMPTS = {
    "closed": "closed",
    "answer": "r = right answer",
    "wrong_answer": "r = a wrong answer of its own",
    "solution": "r = right solution",
    "wrong_solution": "r = a wrong solution of its own",
    "other_question": "r = solution of another question",
}
START, END = "<!-- gates: written by `make gates` -->", "<!-- end of gates -->"


def behaviour_rows(behaviour: Behaviour) -> list[list[str]]:
    """Return the cells of the table of behaviour: prompt, n, right, equals r, cites."""
    found = []
    for name, text in PROMPTS.items():
        if name not in behaviour.rows:
            continue
        row = behaviour.rows[name]
        counts = (row.right, row.followed, row.citing)
        cells = ["–" if count is None or not row.n else f"{count / row.n:.3f}" for count in counts]
        found.append([text, str(row.n), *cells])
    return found


def gate_rows(found: list[Gate]) -> list[list[str]]:
    """Return the cells of the table of gates: gate, asked, measured, met."""
    return [
        [
            gate.text,
            gate.asked,
            gate.shown,
            "yes" if gate.met else "–" if gate.value is None else f"no: can't show {gate.without}",
        ]
        for gate in found
    ]


def behaviour_table(behaviour: Behaviour) -> Table:
    """Return the table of behaviour for a terminal."""
    return plain_table(["prompt", "n", "right", "equals r", "cites"], behaviour_rows(behaviour))


def gates_table(found: list[Gate]) -> Table:
    """Return the table of gates for a terminal."""
    return plain_table(["gate", "asked", "measured", "met"], gate_rows(found))


def plain_table(columns: list[str], rows: list[list[str]]) -> Table:
    """Return a table for a terminal."""
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    return table


def markdown_table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *rows)]


def markdown(measured: dict[str, Measured]) -> str:
    """Return both tables of each base as markdown."""
    lines: list[str] = []
    for name, each in measured.items():
        lines += [f"`{name}`", ""]
        lines += [*markdown_table(["prompt", "n", "right", "equals r", "cites"], behaviour_rows(each.behaviour)), ""]
        lines += [*markdown_table(["gate", "asked", "measured", "met"], gate_rows(gates(each))), ""]
    return "\n".join(lines)


def replaced(page: str, text: str, start: str = START, end: str = END) -> str:
    """Return a page with ``text`` between two marks.

    Raises:
        UserError: The page lacks the marks.
    """
    before, found_start, rest = page.partition(start)
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise UserError(f"the page has no marks for the table: put '{start}' and '{end}' where it belongs.")
    return f"{before}{start}\n\n{text}\n{end}{after}"


def as_json(measured: dict[str, Measured]) -> dict[str, Any]:
    """Return the numbers of each base."""
    return {name: each.as_json() for name, each in measured.items()}
