"""The rows of a file or stream, one after another, in memory that does not grow with the file."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from rlsd_cli.records.columnar import columnar_rows
from rlsd_cli.records.errors import Damage, Row, RowError
from rlsd_cli.records.json_text import json_rows
from rlsd_cli.records.kinds import KINDS, Kind, kind_of
from rlsd_cli.records.separated import separated_rows

__all__ = ["Damage", "Row", "RowError", "stream_rows"]

BUFFER = 2**20
# How files begin that are no text, and what to do with them.
_SIGNATURES = {
    b"\xff\xfe\x00\x00": "it is UTF-32: convert it to UTF-8 (iconv -f UTF-32 -t UTF-8)",
    b"\x00\x00\xfe\xff": "it is UTF-32: convert it to UTF-8 (iconv -f UTF-32 -t UTF-8)",
    b"\xff\xfe": "it is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "it is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"PAR1": "it is a parquet file: name it .parquet",
    b"ARROW1": "it is an Arrow file: name it .arrow",
    b"\x1f\x8b": "it is compressed by gzip: let its name end in .gz",
    b"\x28\xb5\x2f\xfd": "it is compressed by zstd: let its name end in .zst",
    b"BZh": "it is compressed by bzip2: decompress it",
    b"\xfd7zXZ": "it is compressed by xz: decompress it",
    b"PK\x03\x04": "it is a zip archive or an Excel workbook: take the file out, or save it as CSV",
    b"version https://git-lfs": "it is a pointer of Git LFS and not the data: run git lfs pull",
    b"<!DOCTYPE": "it is a web page and not the data: download the file itself",
    b"<html": "it is a web page and not the data: download the file itself",
}


def stream_rows(
    source: Path | IO[bytes], kind: Kind | None = None, select: Callable[[list[str]], list[str]] | None = None
) -> Iterator[Row]:
    """Yield the rows of a file, each with its place and as an object or as what is wrong with it.

    Places count from 1: lines of JSON lines, first lines of the records of CSV, records of all others.

    Args:
        source: A file, or an open binary stream such as ``sys.stdin.buffer``.
        kind: How to decode it; by the file's name where None.
        select: From the column names of a columnar file to those that are wanted; all where None.

    Raises:
        Damage: The file, or the rest of it, can't be read; the message says why, without the file's name.
    """
    if kind is None:
        kind = kind_of(source) if isinstance(source, Path) else Kind("json")
    if kind is None:
        raise Damage(f"it is none of {KINDS}")
    try:
        if isinstance(source, Path):
            with open(source, "rb") as file:
                yield from decoded(file, kind, select)
        else:
            yield from decoded(source, kind, select)
    except OSError as error:  # pyarrow's errors of compressed streams are OSErrors without an errno
        if kind.compression and error.errno is None:
            raise Damage(f"it is no whole {kind.compression} file: it is damaged or ends early") from None
        raise Damage((error.strerror or str(error) or "it cannot be opened").rstrip(".")) from None


def decoded(file: IO[bytes], kind: Kind, select: Callable[[list[str]], list[str]] | None) -> Iterator[Row]:
    """Yield the rows of an open file."""
    if not kind.is_text:
        if file.seekable():
            yield from columnar_rows(file, kind, select)
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy, BUFFER)
            copy.seek(0)
            yield from columnar_rows(copy, kind, select)
        return
    data: Any = file
    if kind.compression:
        import pyarrow as pa

        data = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), kind.compression)
    text = io.BufferedReader(Rest(data), BUFFER)
    refuse_other_contents(text.peek(64)[:64])
    yield from json_rows(text) if kind.format == "json" else separated_rows(text, kind.format)


class Rest(io.RawIOBase):
    """What is left of a readable thing, which is not closed with it."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as data are there."""
        data = self.source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def refuse_other_contents(head: bytes) -> None:
    """Refuse what is not UTF-8 text from its first bytes on.

    Raises:
        Damage: It is empty, of another kind, or in another encoding.
    """
    if not head:
        raise Damage("it is empty")
    for signature, reason in _SIGNATURES.items():
        if head.lower().startswith(signature.lower()):
            raise Damage(reason)
    nulls = [index % 2 for index, byte in enumerate(head) if not byte]
    if len(nulls) * 3 > len(head):  # every second byte of ASCII in UTF-16
        raise Damage("it is UTF-16 without a byte-order mark, or no text: convert it to UTF-8 (iconv)")
