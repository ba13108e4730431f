"""From the rows of a file to completions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.inputs.layouts import Columns, Layout, recognise
from rlsd_cli.leakage.inputs.records import Completion, Repeated, Unreadable, writable
from rlsd_cli.records import Damage, RowError, stream_rows
from rlsd_cli.records.json_text import wrapped


def read_file(path: Path, name: str, columns: Columns, alone: bool) -> Iterator[Completion | Unreadable | Repeated]:
    """Read a file of completions row by row.

    Args:
        path: The file.
        name: How the rows call it.
        columns: The columns that the user named.
        alone: There is no other file: a damaged one is the user's error, and not one unreadable entry among others.

    Raises:
        UserError: A column is missing, or the file is damaged and `alone`.
    """

    def needed(names: list[str]) -> list[str]:
        found = recognise(names, columns, path)
        # lm-eval's rows are recognised by their `doc`.
        return [name for name in names if name in found.names or (found.lm_eval and name == "doc")]

    layout: Layout | None = None
    first_filter: Any = None
    number = 0
    try:
        for number, row in stream_rows(path, select=needed):
            if isinstance(row, RowError):
                yield Unreadable(name, number, str(row))
                continue
            if layout is None:
                try:
                    layout = recognise(row, columns, path)
                except UserError:
                    if hint := wrapped(row):
                        raise UserError(f"{path} cannot be read: {hint}.") from None
                    raise
                first_filter = row.get("filter")
            if layout.lm_eval and row.get("filter") != first_filter:
                yield Repeated(name, number)
            else:
                yield from completions(row, layout, name, number)
    except Damage as damage:
        if alone and layout is None:
            raise UserError(f"{path} cannot be read: {damage}.") from None
        yield Unreadable(name, number + 1 if number else 0, str(damage))


def completions(row: dict[str, Any], layout: Layout, name: str, number: int) -> Iterator[Completion | Unreadable]:
    """Yield the completions of one row, or the row as unreadable."""
    try:
        texts, prompt, answer, step = layout.fields(row)
    except RowError as error:
        yield Unreadable(name, number, str(error))
        return
    for sample, text in enumerate(texts):
        yield Completion(writable(text), writable(prompt), writable(answer), step, name, number, sample)
