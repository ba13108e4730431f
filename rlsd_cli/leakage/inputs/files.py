"""The three file formats, each as a stream of rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.inputs.layouts import Columns, Layout, recognise
from rlsd_cli.leakage.inputs.records import Completion, Repeated, RowError, Unreadable, writable

FORMATS = (".jsonl", ".ndjson", ".parquet", ".csv")
BATCH = 256  # parquet rows in memory at a time
LONGEST = 64 * 2**20  # characters of a CSV field
NOT_UTF8 = "it is not UTF-8"
_OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff")  # byte-order marks of UTF-16 and UTF-32

Row = tuple[int, dict[str, Any] | RowError]  # its place in the file, from 1, and the record or what is wrong with it


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
    suffix = path.suffix.lower()
    stream = {".parquet": parquet_rows, ".csv": csv_rows}.get(suffix, json_rows)(path, columns)
    layout: Layout | None = None
    first_filter: Any = None
    number = 0
    try:
        for number, row in stream:
            if isinstance(row, RowError):
                yield Unreadable(name, number, str(row))
                continue
            if layout is None:
                layout = recognise(row, columns, path)
                first_filter = row.get("filter")
            if layout.lm_eval and row.get("filter") != first_filter:
                yield Repeated(name, number)
            else:
                yield from completions(row, layout, name, number)
    except FileDamage as damage:
        if alone and layout is None:
            raise UserError(f"{path} cannot be read: {damage}.") from None
        yield Unreadable(name, number + 1 if number else 0, str(damage))


class FileDamage(Exception):
    """The rest of a file cannot be read; the message says why."""


def completions(row: dict[str, Any], layout: Layout, name: str, number: int) -> Iterator[Completion | Unreadable]:
    """Yield the completions of one row, or the row as unreadable."""
    try:
        texts, prompt, answer, step = layout.fields(row)
    except RowError as error:
        yield Unreadable(name, number, str(error))
        return
    for sample, text in enumerate(texts):
        yield Completion(writable(text), writable(prompt), writable(answer), step, name, number, sample)


def refuse_other_unicode(path: Path) -> None:
    """Refuse UTF-16 and UTF-32, whose every line would be unreadable.

    Raises:
        FileDamage: The file begins with their byte-order mark, or cannot be opened.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(4)
    except OSError as error:
        raise FileDamage(error.strerror or "it cannot be opened") from None
    if head.startswith(_OTHER_UNICODE):
        raise FileDamage("it is UTF-16 or UTF-32, convert it to UTF-8 (iconv -t UTF-8)")


def json_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Yield the objects of a JSON-lines file by line; blank lines hold no row."""
    refuse_other_unicode(path)
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError:
                yield number, RowError(NOT_UTF8)
            except (ValueError, RecursionError):
                yield number, RowError("it is no JSON")
            else:
                yield number, row if isinstance(row, dict) else RowError("it is no JSON object")


def csv_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Yield the records of a CSV file with a header line, each by its first line."""
    refuse_other_unicode(path)
    csv.field_size_limit(LONGEST)
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        records = csv.reader(file)
        header = next(records, [])
        if not header or not any(header):
            raise FileDamage("it has no header line")
        while True:
            number = records.line_num + 1
            try:
                record = next(records, None)
            except csv.Error as error:
                yield number, RowError(f"it is no CSV ({error})")
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


def parquet_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a parquet file, only the columns that are needed, a batch in memory at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            layout = recognise(file.schema_arrow.names, columns, path)
            names = [name for name in layout.names if name in file.schema_arrow.names]
            if layout.lm_eval:
                names.append("doc")  # recognised by it
            done = 0
            for batch in file.iter_batches(BATCH, columns=names):
                yield from enumerate(batch_rows(names, batch), done + 1)
                done += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileDamage(f"it is no readable parquet file ({reason[:120]})") from None


def batch_rows(names: list[str], batch: Any) -> Iterator[dict[str, Any] | RowError]:
    """Turn a record batch into rows; a value that is not UTF-8 makes its own row unreadable, not the batch."""
    try:
        values = [batch.column(name).to_pylist() for name in names]
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield {name: batch.column(name)[index].as_py() for name in names}
            except UnicodeDecodeError:
                yield RowError(NOT_UTF8)
        return
    for row in zip(*values, strict=True):
        yield dict(zip(names, row, strict=True))
