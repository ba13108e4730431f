"""Parquet and Arrow files, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rlsd_cli.records.errors import NOT_UTF8, Damage, Row, RowError, refuse_double
from rlsd_cli.records.kinds import Kind

BATCH = 256  # rows in memory at a time


def check_columns(path: Path) -> None:
    """Check that a parquet file can be opened, has rows, and that its columns have different names.

    Raises:
        Damage: One of these is not so.
    """
    from pyarrow import parquet

    if not path.stat().st_size:
        raise Damage("it is empty")
    with told("parquet"), parquet.ParquetFile(path) as table:
        refuse_double(list(table.schema_arrow.names))
        if not table.metadata.num_rows:
            raise Damage("it has no rows")


def columnar_rows(file: IO[bytes], kind: Kind, select: Callable[[list[str]], list[str]] | None) -> Iterator[Row]:
    """Yield the rows of an open parquet or Arrow file.

    Raises:
        Damage: It is damaged, or two of its columns have one name.
    """
    if not file.read(1):
        raise Damage("it is empty")
    file.seek(0)
    batches = parquet_batches if kind.format == "parquet" else arrow_batches
    done = 0
    with told(kind.format):
        for batch in batches(file, select):
            yield from enumerate(batch_rows(batch), done + 1)
            done += batch.num_rows


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn pyarrow's errors into one of ours."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        lines = str(error).strip().splitlines()
        raise Damage(f"it is no readable {what} file ({lines[0][:120] if lines else type(error).__name__})") from None


def parquet_batches(file: IO[bytes], select: Callable[[list[str]], list[str]] | None) -> Iterator[Any]:
    """Yield the record batches of a parquet file."""
    from pyarrow import parquet

    with parquet.ParquetFile(file) as table:
        names = list(table.schema_arrow.names)
        refuse_double(names)
        yield from table.iter_batches(BATCH, columns=select(names) if select else names)


def arrow_batches(file: IO[bytes], select: Callable[[list[str]], list[str]] | None) -> Iterator[Any]:
    """Yield the record batches of an Arrow file: a stream, as `datasets` writes it, or the format of random access."""
    import pyarrow as pa

    streamed = file.read(6) != b"ARROW1"
    file.seek(0)
    with pa.ipc.open_stream(file) if streamed else pa.ipc.open_file(file) as reader:
        names = list(reader.schema.names)
        refuse_double(names)
        wanted = select(names) if select else names
        batches = reader if streamed else map(reader.get_batch, range(reader.num_record_batches))
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH).select(wanted)


def batch_rows(batch: Any) -> Iterator[dict[str, Any] | RowError]:
    """Turn a record batch into rows; a value that is not UTF-8 makes its own row unreadable, not the batch."""
    names = batch.schema.names
    try:
        values = [column.to_pylist() for column in batch.columns]
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield {name: batch.column(name)[index].as_py() for name in names}
            except UnicodeDecodeError:
                yield RowError(NOT_UTF8, "row")
        return
    if not names:
        yield from ({} for _ in range(batch.num_rows))
        return
    for row in zip(*values, strict=True):
        yield dict(zip(names, row, strict=True))
