"""The run directory: the contract between commands (schema version 1, docs/run-directory.md).

Files are replaced whole (temporary file, fsync, rename) or appended to by the line;
a torn last line of an append-only file is dropped by every reader.
"""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rlsd_cli.errors import UserError
from rlsd_cli.records.kinds import refuse_url

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
STEP_FILE = re.compile(r"step-(\d{6})\.parquet$")


def no_links(path: str, flags: int) -> int:
    """Open a file as `open` would, but follow no symbolic link: a stranger's run directory must not aim our writes.

    Raises:
        UserError: ``path`` is a symbolic link.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path} is a symbolic link, which is not written through: remove it.") from None
        raise


def append_line(path: Path, line: str) -> None:
    """Append a line with one write, so that a kill seldom tears it."""
    with open(path, "a", encoding="utf-8", opener=no_links) as file:
        file.write(f"{line}\n")


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data`` atomically: readers see the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb", opener=no_links) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as JSON, atomically."""
    write_text(path, json.dumps(jsonable(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Replace ``path`` by ``frame`` as parquet, atomically."""
    import io

    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def jsonable(value: Any) -> Any:
    """Return ``value`` with NaN and infinities as None, so that strict JSON readers can read it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read an append-only JSON-lines file; a torn last line is dropped, any other bad line is an error.

    Raises:
        UserError: A line before the last is not a JSON object, or a compressed file is cut off.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{path} is no whole gzip file: restore it.") from None
    # Not splitlines(): JSON texts may hold other line separators of Unicode.
    lines = data.decode("utf-8", errors="replace").rstrip("\n").split("\n")
    if lines == [""]:
        return []
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError
        except (ValueError, RecursionError):
            if number == len(lines):
                break
            raise UserError(f"{path} is damaged at line {number}: restore the file or train the run again.") from None
        records.append(record)
    return records


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: The file is missing, unreadable or no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: restore it or make it again.")
    return value


class RunDir:
    """A run directory, opened for reading or created for writing."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: Path | str) -> RunDir:
        """Open an existing run.

        Raises:
            UserError: The path is no run directory, or was written by another schema version.
        """
        run = cls(path)
        refuse_url(path, "the run directory")
        if not run.path.is_dir():
            what = "is a file" if run.path.exists() else "does not exist"
            raise UserError(f"{path} {what}: give the directory that `rlsd train` wrote.")
        run.refuse_links()
        if not run.status_file.is_file() or not run.config_file.is_file():
            raise UserError(
                f"{path} is not a run directory (no config.yaml and status.json): "
                "give the directory that `rlsd train` wrote."
            )
        version = run.status().get("schema_version")
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path} has schema version {version}, this rlsd reads {SCHEMA_VERSION}: use the rlsd that wrote it."
            )
        return run

    def refuse_links(self) -> None:
        """Refuse a directory whose parts are links: they could lead reading and writing anywhere.

        Raises:
            UserError: A file or folder right inside the run directory is a symbolic link.
        """
        for path in sorted(self.path.iterdir()) if self.path.is_dir() else []:
            if path.is_symlink():
                raise UserError(
                    f"{path} is a symbolic link, which a run directory must not hold: put the thing itself."
                )

    @property
    def config_file(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def status_file(self) -> Path:
        """How far the run is."""
        return self.path / "status.json"

    @property
    def provenance_file(self) -> Path:
        """Versions, machine, seeds."""
        return self.path / "provenance.json"

    @property
    def metrics_file(self) -> Path:
        """A line per step."""
        return self.path / "metrics.jsonl"

    @property
    def kept_metrics_file(self) -> Path:
        """The same, compressed, of a run that is kept as a result (scripts/keep_runs.py)."""
        return self.path / "metrics.jsonl.gz"

    @property
    def completions_dir(self) -> Path:
        """Rollouts."""
        return self.path / "completions"

    @property
    def credit_dir(self) -> Path:
        """Token credit on probes."""
        return self.path / "credit"

    @property
    def checkpoints_dir(self) -> Path:
        """Checkpoints."""
        return self.path / "checkpoints"

    @property
    def model_dir(self) -> Path:
        """The final model."""
        return self.path / "model"

    @property
    def eval_dir(self) -> Path:
        """Evaluations."""
        return self.path / "eval"

    @property
    def leakage_dir(self) -> Path:
        """The audit."""
        return self.path / "leakage"

    def config(self) -> dict[str, Any]:
        """Return config.yaml as a mapping.

        Raises:
            UserError: The file is not a YAML mapping.
        """
        try:
            value = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise UserError(f"{self.config_file} is not readable as YAML: restore it or train the run again.")
        return value

    def status(self) -> dict[str, Any]:
        """Return status.json.

        Raises:
            UserError: The file is not a JSON object.
        """
        return read_object(self.status_file)

    def write_status(self, **fields: Any) -> None:
        """Replace status.json, keeping the fields that are not given."""
        status = self.status() if self.status_file.is_file() else {"schema_version": SCHEMA_VERSION}
        write_json(self.status_file, {**status, **fields})

    @property
    def has_metrics(self) -> bool:
        """Whether a step has been logged; a run that is kept as a result has its metrics compressed."""
        return self.metrics_file.is_file() or self.kept_metrics_file.is_file()

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl, or of metrics.jsonl.gz where there is only that, oldest first.

        Raises:
            UserError: There are none, or the file is damaged.
        """
        if not self.has_metrics:
            raise UserError(f"{self.path} holds no metrics.jsonl yet: let the run train for a step first.")
        return read_json_lines(self.metrics_file if self.metrics_file.is_file() else self.kept_metrics_file)

    def step_files(self, directory: Path) -> Iterator[tuple[int, Path]]:
        """Yield (step, path) of the ``step-NNNNNN.parquet`` files in ``directory``, in the order of the steps."""
        for path in sorted(directory.glob("step-*.parquet")):
            match = STEP_FILE.search(path.name)
            if match:
                yield int(match.group(1)), path

    def discard_after(self, step: int) -> None:
        """Drop metrics, completions and credit of steps after ``step``, so that a resumed run writes them again."""
        if self.metrics_file.is_file():
            records = read_json_lines(self.metrics_file)
            kept = [each for each in records if isinstance(each.get("step"), int) and each["step"] <= step]
            write_text(self.metrics_file, "".join(json.dumps(record) + "\n" for record in kept))
        for directory in (self.completions_dir, self.credit_dir):
            for file_step, path in self.step_files(directory):
                if file_step > step:
                    path.unlink()
