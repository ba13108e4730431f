"""JSON: an object per line, a list of objects, or objects that go over several lines."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any

from rlsd_cli.records.errors import NOT_UTF8, Damage, Row, RowError

CHUNK = 2**16
LONGEST_FIRST = 2**24  # bytes over which a first object may be spread
TAIL = 16  # characters: the longest word of JSON, cut off
SPACE = " \t\r\n,[]\ufeff"  # what stands between the objects of a list
NO_OBJECT = "it is no JSON object"
TURN = {"role", "from"}  # keys of a chat's turn
COLUMNS = "it is one object of columns: write an object per row (pandas: to_json(orient='records', lines=True))"


class DoubleKey(ValueError):
    """An object has one key twice."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of unique keys.

    Raises:
        DoubleKey: One is there twice: which of the values counts is not said.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise DoubleKey(next(name for name in names if names.count(name) > 1))
    return made


DECODER = json.JSONDecoder(object_pairs_hook=once)


def json_rows(file: IO[bytes]) -> Iterator[Row]:
    """Yield the objects of a file.

    Lines are numbered as lines, and a bad one is told and passed over; elements of a list and objects over several
    lines are counted, and behind a bad one nothing can be read.

    Raises:
        Damage: The rest of a list is no JSON, or not UTF-8, or the file is one object that holds the rows inside.
    """
    lines = enumerate(file, 1)
    held: list[tuple[int, bytes]] = []
    for number, line in lines:
        held.append((number, line))
        if line.removeprefix(codecs.BOM_UTF8).strip():
            break
    if not held:
        return
    if spread(held, lines):
        yield from value_rows(chain((line for _, line in held), iter(lambda: file.read(CHUNK), b"")))
    else:
        yield from line_rows(chain(held, lines))


def spread(held: list[tuple[int, bytes]], lines: Iterator[tuple[int, bytes]]) -> bool:
    """Tell whether the file is a list, or its first object goes over several lines; reads on into ``held``."""
    text = held[-1][1].removeprefix(codecs.BOM_UTF8)
    if text.lstrip().startswith(b"["):
        return True
    if not text.lstrip().startswith(b"{"):
        return False
    tried = 1
    while True:
        try:
            decoded = text.decode("utf-8")
            DECODER.raw_decode(decoded.lstrip())
            return tried > 1
        except json.JSONDecodeError as error:
            if error.pos < len(decoded.strip()) - 1:  # a torn line, and not one that goes on
                return False
        except (ValueError, RecursionError):
            return False
        more = [entry for _, entry in zip(range(tried), lines, strict=False)]  # in this order: no line is lost
        held += more
        text += b"".join(line for _, line in more)
        tried += len(more)
        if not more or len(text) > LONGEST_FIRST:
            return False


def line_rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[Row]:
    """Yield the object of each line; blank lines hold no row."""
    for number, line in lines:
        text = line.removeprefix(codecs.BOM_UTF8).strip()
        if text:
            yield number, parsed(text)


def parsed(line: bytes) -> dict[str, Any] | RowError:
    """Return the object of a line, or what is wrong with it."""
    try:
        text = line.decode("utf-8")
        row, end = DECODER.raw_decode(text)
    except UnicodeDecodeError:
        return RowError(NOT_UTF8)
    except DoubleKey as double:
        return RowError(f"it has the key '{double}' twice")
    except (ValueError, RecursionError):
        return RowError("it is no JSON")
    if end < len(text):
        return RowError("it is no JSON: there is more in the line than one value")
    return row if isinstance(row, dict) else RowError(NO_OBJECT)


def value_rows(pieces: Iterator[bytes]) -> Iterator[Row]:
    """Yield the objects of a text that holds them in a list, or one after another, counted from 1."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    text, number, line, wanted, ended = "", 0, 1, 0, False
    while True:
        start = len(text) - len(text.lstrip(SPACE))
        line += text.count("\n", 0, start)
        text = text[start:]
        if len(text) > wanted or ended:
            if not text:
                return
            try:
                value, end = DECODER.raw_decode(text)
            except (ValueError, RecursionError) as error:
                rest = 1 if ended else TAIL
                cut = isinstance(error, json.JSONDecodeError) and (
                    error.pos > len(text.rstrip()) - rest or error.msg.startswith("Unterminated")
                )
                if ended or not cut:
                    raise Damage(broken(error, text, number, line, cut)) from None
                wanted = 2 * len(text)
            else:
                number += 1
                yield number, value if isinstance(value, dict) else RowError(NO_OBJECT, "entry")
                line += text.count("\n", 0, end)
                text, wanted = text[end:], 0
                continue
        try:
            piece = next(pieces, b"")
            ended = not piece
            text += decoder.decode(piece, final=ended)
        except UnicodeDecodeError as error:
            place = line + text.count("\n") + error.object[: error.start].count(b"\n")
            raise Damage(f"{NOT_UTF8} in line {place}: convert it to UTF-8 (iconv -t UTF-8)") from None


def broken(error: Exception, text: str, number: int, line: int, cut: bool) -> str:
    """Return the sentence for a list that can't be read on."""
    if isinstance(error, DoubleKey):
        return f"row {number + 1} has the key '{error}' twice"
    if cut:
        return f"it ends in the middle of row {number + 1}"
    place = line + text.count("\n", 0, error.pos) if isinstance(error, json.JSONDecodeError) else line
    return f"row {number + 1} is no JSON (line {place})"


def wrapped(row: dict[str, Any]) -> str:
    """Return what to do where a file is one object with the rows inside, '' where it is not such a one.

    >>> wrapped({"version": 1, "data": [{"prompt": "1+1="}]})
    "it is one object whose 'data' holds the rows: write that list alone"
    """
    for key, value in row.items():
        if isinstance(value, list) and value and all(isinstance(item, dict) and not TURN & set(item) for item in value):
            return f"it is one object whose '{key[:60]}' holds the rows: write that list alone"
    if set(row) >= {"columns", "data"}:  # pandas, orient="split"
        return COLUMNS
    if row and all(isinstance(value, dict) for value in row.values()):
        return "it is one object whose values hold the rows: write a list with an object per row"
    return ""


def columnar(row: dict[str, Any]) -> str:
    """Return what to do where a file is one object of columns, as pandas writes it; '' where it is not.

    >>> columnar({"prompt": ["1+1=", "2+2="], "answer": ["2", "4"]}) == columnar({"a": {"0": 1}, "b": {"0": 2}})
    True
    >>> columnar({"prompt": [{"role": "user", "content": "1+1="}], "answer": ["2"]})
    ''
    """
    values = list(row.values())
    if len(values) < 2:
        return ""
    if all(isinstance(value, dict) and value and all(map(str.isdigit, value)) for value in values):
        return COLUMNS
    lists = all(isinstance(value, list) and len(value) == len(values[0]) > 0 for value in values)
    turns = any(isinstance(item, dict) and TURN & set(item) for value in values if lists for item in value)
    return COLUMNS if lists and not turns else ""
