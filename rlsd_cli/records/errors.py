"""What can be wrong with a file, and with a row."""

from __future__ import annotations

from typing import Any

NOT_UTF8 = "it is not UTF-8"


class Damage(Exception):
    """A file, or the rest of it, cannot be read; the message says why, and the caller names the file."""


class RowError(ValueError):
    """A row cannot be used; the message says why, and ``place`` what its number counts."""

    def __init__(self, reason: str, place: str = "line") -> None:
        super().__init__(reason)
        self.place = place


Row = tuple[int, dict[str, Any] | RowError]  # its place in the file, from 1, and the record or what is wrong with it


def refuse_double(names: list[str]) -> None:
    """Refuse two columns of one name.

    Raises:
        Damage: There are some.
    """
    for name in names:
        if name and names.count(name) > 1:
            raise Damage(f"it has {names.count(name)} columns named '{name}': rename or drop all but one")
