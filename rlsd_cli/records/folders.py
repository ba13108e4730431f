"""Which files of a folder hold rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from rlsd_cli.records.decode import Damage, stream_rows
from rlsd_cli.records.kinds import kind_of, natural

_CACHED = re.compile(r"(?:cache|tmp)-.*\.arrow|cache-.*", re.I)  # what the library `datasets` leaves beside its tables


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
    with open(path, "rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start != b"{":
        return False
    try:
        return len(list(islice(stream_rows(path), 2))) < 2
    except Damage:
        return True
