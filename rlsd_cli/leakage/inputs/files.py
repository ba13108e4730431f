"""From the rows of a file to completions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.inputs.layouts import Columns, Layout, recognise
from rlsd_cli.leakage.inputs.records import Completion, Repeated, Unreadable, writable
from rlsd_cli.records import Damage, Kind, RowError, stream_rows
from rlsd_cli.records.json_text import wrapped


def read_file(
    path: Path | IO[bytes], name: str, columns: Columns, alone: bool, kind: Kind | None = None
) -> Iterator[Completion | Unreadable | Repeated]:
    """Read a file of completions row by row.

    Args:
        path: The file, or an open binary stream.
        name: How the rows call it.
        columns: The columns that the user named.
        alone: There is no other file: a damaged one, or one without completions, is the user's error, and not one
            unreadable entry among others.
        kind: How to decode it; by its name where None.

    Raises:
        UserError: The file is damaged or holds no completions, and is `alone`.
    """
    layout: Layout | None = None
    shown_as = str(path) if isinstance(path, Path) else name

    def needed(names: list[str]) -> list[str]:
        found = recognise(names, columns, Path(shown_as))
        # lm-eval's rows are recognised by what stands beside their responses.
        return [name for name in names if name in found.names or (found.nested and name in ("doc", "doc_id", "target"))]

    first_filter: Any = None
    layouts: dict[tuple[str, ...], Layout] = {}  # JSON lines need not have the same keys
    number = 0
    try:
        for number, row in stream_rows(path, kind, select=needed):
            if isinstance(row, RowError):
                yield Unreadable(name, number, str(row))
                continue
            if layout is None:
                try:
                    layout = recognise(row, columns, Path(shown_as))
                except UserError:
                    if hint := wrapped(row):
                        raise UserError(f"{shown_as} cannot be read: {hint}.") from None
                    raise
                first_filter = row.get("filter")
            elif tuple(row) not in layouts:
                layouts[tuple(row)] = recognised(row, columns, Path(shown_as), layout)
            layout = layouts.setdefault(tuple(row), layout)
            if layout.nested and row.get("filter") != first_filter:
                yield Repeated(name, number)
            else:
                yield from completions(row, layout, name, number)
    except Damage as damage:
        if alone and layout is None:
            raise UserError(f"{shown_as} cannot be read: {damage}.") from None
        yield Unreadable(name, number + 1 if number else 0, str(damage))
    except UserError as error:
        if alone:
            raise
        reason = str(error).removeprefix(f"{shown_as} ").split(": ")[0]
        yield Unreadable(name, 0, f"it is no file of completions ({reason})")


def recognised(row: dict[str, Any], columns: Columns, path: Path, otherwise: Layout) -> Layout:
    """Return the layout of a row whose keys are not those of the first one; the first one's where it has none."""
    try:
        return recognise(row, columns, path)
    except UserError:
        return otherwise


def completions(row: dict[str, Any], layout: Layout, name: str, number: int) -> Iterator[Completion | Unreadable]:
    """Yield the completions of one row, or the row as unreadable."""
    try:
        entries = layout.entries(row)
    except RowError as error:
        yield Unreadable(name, number, str(error))
        return
    for sample, one in enumerate(entries):
        text, prompt, answer = writable(one.text), writable(one.prompt), writable(one.answer)
        yield Completion(text, prompt, answer, one.step, name, number, sample)
