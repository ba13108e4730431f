"""Rows by number: tables that lie on disk, whatever kind of file they come from."""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, overload

from rlsd_cli.errors import UserError
from rlsd_cli.records.errors import Damage, RowError

BLOCK = 2**22  # bytes that are read at a time where all rows are


class Table(Protocol):
    """Rows by number and columns by name; the library `datasets` has such tables, too."""

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        ...

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, key: str) -> Sequence[Any]: ...


class Spooled:
    """The rows of text files, copied into one unnamed file, a line each.

    Only the places of the lines are in memory, eight bytes a row. Values keep the types that JSON gave them, row by
    row, whatever the other rows of the column hold; a row without a column has None there. A pickle holds the paths.

    Args:
        paths: Files whose kind `stream_rows` reads.

    Raises:
        UserError: A file or a row of it can't be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.ends = array("q", [0])
        names: dict[str, None] = {}
        self.file = tempfile.TemporaryFile(prefix="rlsd-rows-")  # noqa: SIM115 - it lives as long as the table
        for path in paths:
            for row in sound_rows(path):
                names.update(dict.fromkeys(row))
                line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
                self.ends.append(self.ends[-1] + self.file.write(line))
        self.file.flush()
        self.names = list(names)
        self.blank = dict.fromkeys(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        return Spooled, (self.paths,)

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in the order in which they come."""
        return list(self.names)

    def __getitem__(self, key: Any) -> Any:
        """Return the row of a number, or the values of a column."""
        if isinstance(key, str):
            return [row.get(key) for row in self]
        start, end = self.ends[key], self.ends[key + 1]
        # Not `seek` and `read`: processes that were forked share the position.
        return self.blank | json.loads(
            os.pread(self.file.fileno(), end - start, start).decode("utf-8", "surrogatepass")
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        first = 0
        while first < len(self):
            last = max(first + 1, bisect_right(self.ends, self.ends[first] + BLOCK) - 1)
            start = self.ends[first]
            block = os.pread(self.file.fileno(), self.ends[last] - start, start)
            for index in range(first, last):
                line = block[self.ends[index] - start : self.ends[index + 1] - start]
                yield self.blank | json.loads(line.decode("utf-8", "surrogatepass"))
            first = last


class Joined:
    """Tables one after another; a row without a column of the others has None there."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = list(tables)
        self.starts = [0, *accumulate(len(table) for table in tables)]
        self.names = list(dict.fromkeys(name for table in tables for name in table.column_names))

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def column_names(self) -> list[str]:
        """The names of all columns."""
        return list(self.names)

    def __getitem__(self, key: Any) -> Any:
        """Return the row of a number, or the values of a column."""
        if isinstance(key, str):
            return [
                value
                for table in self.tables
                for value in (table[key] if key in table.column_names else [None] * len(table))
            ]
        part = bisect_right(self.starts, key) - 1
        return dict.fromkeys(self.names) | dict(self.tables[part][key - self.starts[part]])


def sound_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file all of whose rows are to be read.

    Raises:
        UserError: A row, or the file, can't be read.
    """
    from rlsd_cli.records.decode import stream_rows

    try:
        for number, row in stream_rows(path):
            if isinstance(row, RowError):
                raise UserError(f"{row.place} {number} of {path} cannot be read: {row}; fix or drop it.")
            yield row
    except Damage as damage:
        raise UserError(f"the data set {path} cannot be read: {damage}.") from None
