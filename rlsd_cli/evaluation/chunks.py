"""Finished chunks of an evaluation, so that one that is interrupted goes on where it was."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import read_object, write_json, write_parquet

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Parts:
    """The directory eval/…/<suite>.parts: a file per finished chunk, and key.json, which says of what."""

    directory: Path

    @classmethod
    def open(cls, folder: Path, suite: str, chunk: int, key: dict[str, Any]) -> Parts:
        """Return the parts of an evaluation; those of another one are thrown away.

        Args:
            folder: Where the evaluation's files will lie.
            suite: Its name.
            chunk: Questions per chunk.
            key: Whatever decides the completions and verdicts.
        """
        parts = cls(folder / f"{suite}.parts")
        wanted = {**key, "chunk": chunk}
        try:
            same = read_object(parts.directory / "key.json") == wanted
        except UserError:  # none, or damaged
            same = False
        if not same:
            parts.clear()
            write_json(parts.directory / "key.json", wanted)
        return parts

    def file(self, number: int) -> Path:
        """Return the file of a chunk."""
        return self.directory / f"{number:06d}.parquet"

    def read(self, number: int) -> pd.DataFrame | None:
        """Return a finished chunk's rows, None if it is not finished. Files appear whole or not at all."""
        import pandas as pd

        return pd.read_parquet(self.file(number)) if self.file(number).is_file() else None

    def write(self, number: int, frame: pd.DataFrame) -> None:
        """Store a finished chunk's rows."""
        write_parquet(self.file(number), frame)

    def clear(self) -> None:
        """Remove the directory, and the one that holds it where nothing else is in it."""
        if self.directory.is_dir():
            shutil.rmtree(self.directory)
            with suppress(OSError):
                self.directory.parent.rmdir()
