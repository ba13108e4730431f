"""Checkpoints that are known to be whole, with the teacher inside."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rlsd_cli.runs.directory import write_json

MARKER = "rlsd_complete.json"
TEACHER_FILE = "teacher.safetensors"
READERS = 4
CHECKPOINT = re.compile(r"checkpoint-(\d+)$")


def checkpoint_files(directory: Path) -> dict[str, int]:
    """Return the sizes in bytes of a checkpoint's files by relative path."""
    return {
        str(path.relative_to(directory)): path.stat().st_size
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MARKER
    }


def digests(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of a checkpoint's files by relative path; some files are read at a time."""

    def digest(name: str) -> str:
        with open(directory / name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    names = list(checkpoint_files(directory))
    with ThreadPoolExecutor(max_workers=READERS) as readers:
        return dict(zip(names, readers.map(digest, names), strict=True))


def marker(directory: Path) -> dict[str, Any]:
    """Return what was written when the checkpoint was whole; {} where it never was."""
    try:
        value = json.loads((directory / MARKER).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_complete(directory: Path) -> bool:
    """Tell whether a checkpoint was written to its end and has kept its files, by their names and sizes."""
    return marker(directory).get("files") == checkpoint_files(directory)


def is_intact(directory: Path) -> bool:
    """Tell whether a checkpoint is complete and each file still has the content that was written.

    Checkpoints that were marked before there were digests are judged by their sizes.
    """
    if not is_complete(directory):
        return False
    expected = marker(directory).get("sha256")
    return expected is None or expected == digests(directory)


def checkpoints(directory: Path) -> list[tuple[int, Path]]:
    """Return (step, path) of the checkpoints in ``directory``, oldest first, whole or not."""
    found = []
    for path in directory.glob("checkpoint-*"):
        match = CHECKPOINT.search(path.name)
        if match and path.is_dir():
            found.append((int(match.group(1)), path))
    return sorted(found)


def mark_complete(directory: Path) -> None:
    """Write down that a checkpoint is whole, and with which files; atomically."""
    write_json(directory / MARKER, {"files": checkpoint_files(directory), "sha256": digests(directory)})


def remove_before(directory: Path, keep: int) -> None:
    """Remove the checkpoints before this one but for the newest ``keep - 1``; later ones are left alone."""
    found = [path for _, path in checkpoints(directory.parent)]
    for path in found[: max(found.index(directory) + 1 - keep, 0)]:
        shutil.rmtree(path)


def newest_intact(directory: Path) -> tuple[int, Path] | None:
    """Return the newest checkpoint that is whole to the byte, or None."""
    return next(((step, path) for step, path in reversed(checkpoints(directory)) if is_intact(path)), None)
