"""Kinds of files: told by the suffix, in a folder or alone, the same for every command."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
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
_CACHED = re.compile(r"(?:cache|tmp)-.*\.arrow|cache-.*", re.I)  # what the library `datasets` leaves beside its tables


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


def files_in(folder: Path, without: Iterable[str] = ()) -> list[Path]:
    """Return the files of rows under a folder, in the natural order of their names.

    Left out are hidden files (macOS leaves ``._name`` beside ``name``), the caches of the library `datasets`,
    and .json files that hold one object: settings and summaries lie beside the rows of most tools.

    Args:
        folder: A folder; one that ``Dataset.save_to_disk`` wrote is one like others.
        without: Names of folders that are passed over.
    """
    passed = set(without)

    def holds_rows(file: Path) -> bool:
        parts = file.relative_to(folder).parts
        if any(part.startswith(".") for part in parts) or passed & set(parts[:-1]):
            return False
        kind = kind_of(file)
        if kind is None or _CACHED.fullmatch(file.name) or not file.is_file():
            return False
        return file.suffix.lower() != ".json" or not is_one_object(file)

    return sorted(filter(holds_rows, folder.rglob("*")), key=lambda file: natural(file.relative_to(folder)))


def is_one_object(path: Path) -> bool:
    """Tell whether a .json file holds a single object, and no list or lines of objects."""
    from itertools import islice

    from rlsd_cli.records.decode import Damage, stream_rows

    with open(path, "rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start != b"{":
        return False
    try:
        return len(list(islice(stream_rows(path), 2))) < 2
    except Damage:
        return True
