"""CSV and TSV with a header line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, Literal

from rlsd_cli.records.errors import NOT_UTF8, Damage, Row, RowError, refuse_double

SEPARATORS = {"csv": ",", "tsv": "\t"}
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
LONGEST = 64 * 2**20  # characters of a field


def separated_rows(file: IO[bytes], kind: Literal["csv", "tsv"] | str) -> Iterator[Row]:
    """Yield the records of a file with a header line, each by its first line; empty lines hold none.

    Raises:
        Damage: There is no header line, its names are not unique, or another separator was used.
    """
    csv.field_size_limit(LONGEST)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    records = csv.reader(text, delimiter=SEPARATORS[kind])
    header = checked_header(records, kind)
    while True:
        number = records.line_num + 1
        try:
            record = next(records, None)
        except csv.Error as error:
            yield number, RowError(f"it is no {kind.upper()} ({error})")
            continue
        if record is None:
            return
        if not record:
            continue
        if any("\udc80" <= char <= "\udcff" for field in record if not field.isascii() for char in field):
            yield number, RowError(NOT_UTF8)
        elif len(record) != len(header):
            until = f" up to line {records.line_num} (is a quote left open?)" if records.line_num > number else ""
            yield number, RowError(f"it has {len(record)} fields and the header {len(header)}{until}")
        else:
            yield number, dict(zip(header, record, strict=True))


def checked_header(records: Iterator[list[str]], kind: str) -> list[str]:
    """Return the names of the columns.

    Raises:
        Damage: See `separated_rows`.
    """
    try:
        header = [name.strip() for name in next((record for record in records if record), [])]
    except csv.Error as error:
        raise Damage(f"its header line is no {kind.upper()} ({error})") from None
    if not any(header):
        raise Damage("it has no header line")
    if any("\udc80" <= char <= "\udcff" for name in header for char in name):
        raise Damage("its header line is not UTF-8: convert it to UTF-8 (iconv -t UTF-8)")
    wanted = SEPARATORS[kind]
    other = next((mark for mark in NAMES if mark != wanted and mark in header[0]), None)
    if len(header) == 1 and other:
        advice = {"\t": "name it .tsv", ",": "name it .csv"}.get(other, f"write it with {NAMES[wanted]}")
        raise Damage(f"its columns are separated by {NAMES[other]} and not by {NAMES[wanted]}: {advice}")
    refuse_double(header)
    return header
