"""Where completions come from: the files of a run directory, a file, or a directory of files."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.inputs.files import read_file
from rlsd_cli.leakage.inputs.layouts import Columns
from rlsd_cli.leakage.inputs.records import Completion, Repeated, Unreadable
from rlsd_cli.records import KINDS, Kind, files_in, kind_of, refuse_url
from rlsd_cli.runs.directory import RunDir

OWN_DIRECTORIES = {"leakage", "leakage-audit"}  # what an earlier audit wrote is no input


@dataclass(frozen=True)
class Source:
    """Completions to audit: what they are called, how many files they come from, where reports go by default."""

    kind: str
    name: str
    files: int
    output: Path
    read: Callable[[], Iterator[Completion | Unreadable | Repeated]]


def read_files(files: list[Path], root: Path, columns: Columns) -> Iterator[Completion | Unreadable | Repeated]:
    """Read files one after the other, row by row; rows are named by the path from ``root``."""
    for file in files:
        yield from read_file(file, file.relative_to(root).as_posix(), columns, alone=len(files) == 1)


def run_source(run_dir: Path | str) -> Source:
    """Return the rollouts of a run directory; of an arm that samples none (SFT), the probes' completions.

    Raises:
        UserError: The path is no run directory, or it has no completions yet.
    """
    run = RunDir.open(run_dir)
    files = [path for _, path in run.step_files(run.completions_dir)]
    if not files:
        files = [path for _, path in run.step_files(run.credit_dir)]
    if not files:
        raise UserError(f"{run_dir} holds no completions yet: let the run train for a step first.")
    read = partial(read_files, files, run.path, Columns())
    return Source("run", run.path.resolve().name, len(files), run.leakage_dir, read)


def stream_source(path: Path, columns: Columns) -> Source:
    """Return the completions of stdin (``-``) or of a pipe, whose kind is told by how it begins.

    JSON lines, a JSON array, CSV with commas, parquet, and JSON lines compressed by gzip or zstd.
    """

    def read() -> Iterator[Completion | Unreadable | Repeated]:
        with nullcontext(sys.stdin.buffer) if str(path) == "-" else open(path, "rb") as opened:
            stream = io.BufferedReader(cast("io.RawIOBase", opened))
            yield from read_file(stream, name, columns, alone=True, kind=kind_of_stream(stream))

    name = "stdin" if str(path) in ("-", "/dev/stdin") else path.name
    return Source("completions", name, 1, Path("leakage-audit"), read)


def kind_of_stream(stream: io.BufferedReader[Any]) -> Kind:
    """Tell how a stream is to be decoded by its first bytes, which stay to be read."""
    head = stream.peek(64)[:64]
    if head.startswith(b"PAR1"):
        return Kind("parquet")
    if head.startswith(b"ARROW1"):
        return Kind("arrow")
    for magic, compression in ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")):
        if head.startswith(magic):
            return Kind("json", compression)
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return Kind("json" if begin[:1] in (b"{", b"[", b"") else "csv")


def completions_source(path: Path, columns: Columns) -> Source:
    """Return a file of completions, or all files under a directory whose kind `rlsd_cli.records` reads.

    Raises:
        UserError: The path does not exist, holds no such file, or is a run directory.
    """
    if str(path) == "-" or path.is_fifo() or path.is_char_device():
        return stream_source(path, columns)
    refuse_url(path, "the completions")
    if not path.exists():
        raise UserError(f"{path} does not exist: give a file or a directory of completions.")
    output = path.resolve().parent / "leakage-audit"
    if path.is_file():
        if kind_of(path) is None:
            raise UserError(f"{path} is none of {KINDS}: convert it to one of these.")
        return Source("completions", path.name, 1, output, partial(read_files, [path], path.parent, columns))
    if (path / "status.json").is_file() and (path / "completions").is_dir():
        raise UserError(f"{path} is a run directory: give it without --completions.")
    files = files_in(path, without=OWN_DIRECTORIES)
    if not files:
        raise UserError(f"{path} holds no file of completions ({KINDS}).")
    read = partial(read_files, files, path, columns)
    return Source("completions", path.resolve().name, len(files), output, read)
