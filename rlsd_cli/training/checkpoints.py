"""Checkpoints that are known to be whole, with the teacher inside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rlsd_cli.artifacts import write_json

MARKER = "rlsd_complete.json"
TEACHER_FILE = "teacher.safetensors"
CHECKPOINT = re.compile(r"checkpoint-(\d+)$")


def checkpoint_files(directory: Path) -> dict[str, int]:
    """Return the sizes in bytes of a checkpoint's files by relative path."""
    return {
        str(path.relative_to(directory)): path.stat().st_size
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MARKER
    }


def is_complete(directory: Path) -> bool:
    """Tell whether a checkpoint was written to its end and has kept its files."""
    try:
        expected = json.loads((directory / MARKER).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return expected == checkpoint_files(directory)


def checkpoints(directory: Path) -> list[tuple[int, Path]]:
    """Return (step, path) of the checkpoints in ``directory``, oldest first, whole or not."""
    found = []
    for path in directory.glob("checkpoint-*"):
        match = CHECKPOINT.search(path.name)
        if match and path.is_dir():
            found.append((int(match.group(1)), path))
    return sorted(found)


def newest_complete(directory: Path) -> tuple[int, Path] | None:
    """Return the newest whole checkpoint, or None."""
    whole = [(step, path) for step, path in checkpoints(directory) if is_complete(path)]
    return whole[-1] if whole else None


class CheckpointMixin:
    """Trainer mixin: marks a checkpoint as whole after its last file, and keeps the teacher's copy in it."""

    teacher: Any = None

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        directory = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"  # type: ignore[attr-defined]
        if self.teacher is not None:
            self.teacher.save(directory / TEACHER_FILE, self.accelerator)  # type: ignore[attr-defined]
        self.accelerator.wait_for_everyone()  # type: ignore[attr-defined]
        if self.args.should_save:  # type: ignore[attr-defined]
            write_json(directory / MARKER, {"files": checkpoint_files(directory)})

    def _load_from_checkpoint(self, resume_from_checkpoint: Any, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        if self.teacher is not None:
            self.teacher.load(Path(resume_from_checkpoint) / TEACHER_FILE)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no model card per checkpoint: a card belongs to a published model."""
