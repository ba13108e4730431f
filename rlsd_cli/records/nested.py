"""Fields within a column: ``reward_model.ground_truth``, ``conversations.0.value``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

DEPTH = 3


def split_name(name: str, columns: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the column and the path of a name, None where the table has no such column; a whole name goes first.

    >>> split_name("reward_model.ground_truth", ["prompt", "reward_model"]), split_name("a.b", ["a.b", "a"])
    (('reward_model', ['ground_truth']), ('a.b', []))
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if (column := ".".join(parts[:length])) in columns:
            return column, parts[length:]
    return None


def value_at(value: Any, path: Sequence[str]) -> Any:
    """Return what lies at a path of names of fields and numbers of entries, None where nothing does."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list | tuple) and step.lstrip("-").isdigit() and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def field_names(row: dict[str, Any], depth: int = DEPTH) -> Iterator[str]:
    """Yield the dotted names of the fields in a row's structs."""
    for name, value in row.items():
        if isinstance(value, dict):
            for inner in value:
                yield f"{name}.{inner}"
            if depth > 1:
                yield from (f"{name}.{inner}" for inner in field_names(value, depth - 1))
