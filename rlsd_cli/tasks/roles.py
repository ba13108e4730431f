"""Which column of a table plays which part, and what its values must be before a run begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlsd_cli.config.data import LAYOUTS, NEEDED, Columns, DataConfig
from rlsd_cli.config.layers import nearest
from rlsd_cli.errors import UserError, listed
from rlsd_cli.records.missing import is_missing
from rlsd_cli.records.nested import field_names, split_name, value_at
from rlsd_cli.records.table import Table
from rlsd_cli.tasks.messages import checked_turns
from rlsd_cli.verifiers.answers import answer_of


def resolve_columns(
    config: DataConfig, available: list[str], hint: str = "", fields: Sequence[str] = ()
) -> dict[str, str]:
    """Return the column of each role, of those that the data set has; a field of a struct has a dotted name.

    Args:
        config: The data set.
        available: Its columns.
        fields: The dotted names of the fields of its structs.
        hint: What is to be done where a column is missing because the file is not one of rows.

    Raises:
        UserError: A column is missing that was named, or that the layout needs.
    """
    layout, found = LAYOUTS[config.layout], {}
    for role in Columns.model_fields:
        named = getattr(config.columns, role)
        column = named or getattr(layout, role)
        place = split_name(column, available) if column else None
        if column and place and (not place[1] or column in fields or place[1][0].isdigit()):
            found[role] = column
        elif named or (column and role in NEEDED):
            if hint:
                raise UserError(f"{config.path} cannot be read: {hint}.")
            raise UserError(
                f"{config.path} has no column '{column}' for the {role}{nearest(column, [*available, *fields]) or ';'} "
                f"set task.data.columns.{role} to one of: {listed([*available, *fields])}."
            )
    return found


def reference_text(value: Any) -> str:
    """Return a reference as text, '' where there is none; of a list, the first."""
    if isinstance(value, list):
        value = value[0] if value else None
    return "" if is_missing(value) else str(value).strip()


def known_fields(rows: Table) -> list[str]:
    """Return the dotted names of the fields in the first row, none where it can't be read: others say that better."""
    try:
        return list(field_names(rows[0]))
    except UnicodeDecodeError:
        return []


def as_text(value: Any) -> Any:
    """Return bytes, as which some writers of parquet leave text, as text, and other values as they are."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def values_of(rows: Table, index: int, columns: dict[str, str], config: DataConfig) -> dict[str, Any]:
    """Return the values of a row by their roles.

    Raises:
        UserError: Text in it is not UTF-8.
    """
    try:
        row = rows[index]
        places = {role: split_name(column, list(row)) for role, column in columns.items()}
        values = {role: value_at(row[place[0]], place[1]) for role, place in places.items() if place}
        return {role: value if role == "images" else as_text(value) for role, value in values.items()}
    except UnicodeDecodeError:
        raise UserError(f"row {index} of {config.path} holds text that is not UTF-8: fix or drop that row.") from None


def column_of(rows: Table, column: str, config: DataConfig) -> list[Any]:
    """Return the values of a column, or of a field in it.

    Raises:
        UserError: Text in it is not UTF-8, as in a damaged parquet file.
    """
    column, path = split_name(column, rows.column_names) or (column, [])
    try:
        return [as_text(value_at(value, path)) for value in rows[column]]
    except UnicodeDecodeError:
        for index in range(len(rows)):
            try:
                as_text(value_at(rows[index][column], path))
            except UnicodeDecodeError:
                raise UserError(
                    f"row {index} of {config.path} holds text that is not UTF-8, in column '{column}': fix or drop it."
                ) from None
        raise


def kept_rows(rows: Table, column: str, config: DataConfig) -> list[int]:
    """Return the numbers of the rows that have a gold answer.

    Raises:
        UserError: A row has none and ``drop_empty_answers`` is not set, no row has one, or one is a JSON object.
    """
    values = column_of(rows, column, config)
    for index, value in enumerate(values):
        if isinstance(value, dict) and not answer_of(value):
            inner = f", such as {column}.{next(iter(value))}" if value else ""
            raise UserError(
                f"row {index} of {config.path} has an answer that is a JSON object, in column '{column}': "
                f"give text, a number, or a list of accepted answers; a field of it has a dotted name{inner}."
            )
    filled = [bool(answer_of(value)) for value in values]
    kept = [index for index, full in enumerate(filled) if full]
    if not kept:
        raise UserError(f"every row of {config.path} has an empty answer in column '{column}': choose another column.")
    if len(kept) < len(filled) and not config.drop_empty_answers:
        raise UserError(
            f"row {filled.index(False)} of {config.path} has an empty answer in column '{column}' "
            f"({len(filled) - len(kept)} rows of {len(filled)}): fix it, or set task.data.drop_empty_answers=true."
        )
    return kept


def check_prompts(rows: Table, kept: list[int], column: str, config: DataConfig) -> None:
    """Check that each row has a question, so that none stops a training that has begun.

    Raises:
        UserError: One has none, or one that is neither text nor chat messages.
    """
    values = column_of(rows, column, config)
    for index in kept:
        where = f"row {index} of {config.path}"
        if is_missing(values[index]):
            raise UserError(f"{where} has an empty prompt in column '{column}': fix or drop that row.")
        if not isinstance(values[index], str):
            checked_turns(values[index], where)
