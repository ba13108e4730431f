"""Kinds of files: told by the suffix, in a folder or alone, the same for every command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from rlsd_cli.errors import UserError

Format = Literal["csv", "tsv", "json", "parquet", "arrow"]

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KINDS = ".jsonl, .ndjson, .json, .csv, .tsv (each also with .gz or .zst), .parquet, .arrow"

_URL = re.compile(r"(?:https?|ftp|file|s3|gs|gcs|hf|abfss?|az|adl|hdfs|oss|webhdfs|data):/|[a-z][a-z0-9+.-]+://", re.I)
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Kind:
    """How a file is to be decoded."""

    format: Format
    compression: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether rows lie one after another in a text, and not in columns."""
        return self.format in ("csv", "tsv", "json")


def kind_of(path: PurePath | str) -> Kind | None:
    """Return the kind of a file by its name, case ignored; None where it is none that holds rows.

    >>> kind_of("Train.JSONL.gz")
    Kind(format='json', compression='gzip')
    >>> kind_of("notes.txt") is None
    True
    """
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    found = FORMATS.get(suffixes[-2 if compression and len(suffixes) > 1 else -1]) if suffixes else None
    if found is None or (compression and found in ("parquet", "arrow")):
        return None
    return Kind(found, compression)


def stem_of(path: PurePath) -> str:
    """Return a file's name without the suffixes that say its kind.

    >>> stem_of(PurePath("out/12.jsonl.gz"))
    '12'
    """
    name = PurePath(path.name)
    while name.suffix.lower() in (*FORMATS, *COMPRESSIONS):
        name = name.with_suffix("")
    return str(name)


def refuse_url(source: str | PurePath, what: str) -> None:
    """Refuse an address where a path is wanted; a path object has lost one of its two slashes.

    Args:
        source: What the user gave.
        what: What it is to be, for the sentence: "the data set".

    Raises:
        UserError: It is an address.
    """
    if match := _URL.match(str(source)):
        scheme = match.group().rstrip(":/").lower()
        advice = "give the path without file://" if scheme == "file" else "download it and give its path"
        raise UserError(f"{what} {source} is an address ({scheme}), and only local paths are read: {advice}.")


def natural(path: PurePath) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``9.jsonl`` before ``10.jsonl``."""
    parts = _DIGITS.split(path.as_posix())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
