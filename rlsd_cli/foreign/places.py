"""Which files of a directory are whose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from rlsd_cli.errors import UserError
from rlsd_cli.records import files_in, kind_of
from rlsd_cli.records.kinds import natural

DEPTH = 6  # checkpoints and tables lie at most that deep
STEP_NAME = re.compile(r"\d+\.jsonl(\.gz|\.zst)?")


def named(directory: Path, wanted: Callable[[Path], object]) -> list[Path]:
    """Return the files under a directory whose path suits, in natural order; links are not followed."""
    found = []
    for path in directory.rglob("*"):
        inside = path.relative_to(directory)
        if len(inside.parts) <= DEPTH and wanted(inside) and path.is_file() and not path.is_symlink():
            found.append(path)
    return sorted(found, key=lambda path: natural(path.relative_to(directory)))


def one_run(files: Iterable[Path], what: str, base: Callable[[Path], Path] = lambda path: path.parent) -> list[Path]:
    """Return files that all belong to one run.

    Args:
        files: What was found.
        what: The tool, for the sentence.
        base: From a file to the directory of its run.

    Raises:
        UserError: They lie in the directories of several runs.
    """
    kept = list(files)
    runs = sorted({base(path) for path in kept})
    if len(runs) > 1:
        shown = ", ".join(map(str, runs[:5])) + (" …" if len(runs) > 5 else "")
        raise UserError(f"there are logs of {len(runs)} {what} runs ({shown}): give the directory of one.")
    return kept


def rows_in(path: Path, wanted: Callable[[Path], object] = lambda path: True) -> list[Path]:
    """Return a file of rows, or those under a directory whose path within it suits.

    Raises:
        UserError: The path does not exist, or is no file of rows.
    """
    if path.is_file():
        if kind_of(path) is None:
            raise UserError(f"{path} is no file of rows: give .jsonl, .csv or .parquet.")
        return [path]
    if not path.is_dir():
        raise UserError(f"{path} does not exist: give a file or a directory.")
    return [each for each in files_in(path) if wanted(each.relative_to(path))]
