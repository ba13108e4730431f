"""The last resort: an exception that nobody caught ends in one sentence, and its traceback goes into a file.

Whatever a person can put right is a `UserError` and never comes here. RLSD_DEBUG=1 shows the traceback as well.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

CRASH_FILE = "crash.txt"  # in a run directory
DEBUG = "RLSD_DEBUG"
SHOWN = 300  # characters of an exception's own words

_run: list[Path] = []  # the run directory that the command works on, once it is known


def remember_run(path: Path) -> None:
    """Have a traceback written into the run directory ``path``."""
    _run[:] = [path]


def debugging() -> bool:
    """Tell whether tracebacks are to be shown."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def explained(error: BaseException) -> tuple[str, int]:
    """Return what went wrong and the exit code: 2 where it is the surroundings that a person can change, else 1."""
    words = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in words.lower():
        return "the memory did not suffice: give smaller batches, shorter completions or a smaller model", 2
    if isinstance(error, OSError) and (told := told_by_system(error)):
        return told, 2
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the package {error.name.split('.')[0]} is missing: install it", 2
    said = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return said[:SHOWN].rstrip("."), 1


def told_by_system(error: OSError) -> str:
    """Return what the operating system refuses, '' where it names no file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some room"
    if error.errno == errno.EMFILE:
        return "too many files are open: raise the limit (ulimit -n)"
    if error.filename is None or not error.strerror:
        return ""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is a file, or lies in one: give another path"
    return f"{error.filename}: {error.strerror.lower()}"


def written(text: str) -> Path | None:
    """Write a traceback into the run directory, or where that can't be, into a temporary file; None if neither can."""
    from rlsd_cli.errors import UserError
    from rlsd_cli.runs.directory import no_links

    for folder in _run:
        try:
            if folder.is_dir():
                with open(folder / CRASH_FILE, "a", encoding="utf-8", errors="replace", opener=no_links) as file:
                    file.write(text)
                return folder / CRASH_FILE
        except (OSError, UserError):
            pass
    try:
        handle, name = tempfile.mkstemp(prefix="rlsd-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        return None
    return Path(name)


def report(error: BaseException, command: str) -> tuple[str, int]:
    """Write the traceback of an exception, and return the sentence for a person and the exit code."""
    told = "".join(traceback.format_exception(error))
    moment = time.strftime("%Y-%m-%d %H:%M:%S %z")
    path = written(f"{moment}, {' '.join(sys.argv[:1])} {command}, process {os.getpid()}\n{told}\n")
    if debugging():
        sys.stderr.write(told)
    words, code = explained(error)
    where = f"the traceback is in {path} ({DEBUG}=1 shows it)" if path else f"{DEBUG}=1 shows the traceback"
    return f"{command or 'the command'} failed: {words}; {where}.", code
