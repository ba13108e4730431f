"""Students and teachers of a run, checkpoint by checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from rlsd_cli.config.run import ModelConfig, RunConfig
from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import RunDir


@dataclass(frozen=True)
class Pair:
    """A student and the model that runs its teacher's pass (the same object for an online teacher)."""

    step: int
    student: Any
    teacher: Any


def whole_checkpoints(run_dir: RunDir) -> list[tuple[int, Path]]:
    """Return (step, path) of the run's whole checkpoints, oldest first.

    Raises:
        UserError: There is none.
    """
    from rlsd_cli.runs.checkpoints import checkpoints, is_complete

    found = [(step, path) for step, path in checkpoints(run_dir.checkpoints_dir) if is_complete(path)]
    if not found:
        raise UserError(f"{run_dir.path} has no whole checkpoint yet: let the training reach train.save_every steps.")
    return found


def run_pairs(config: RunConfig, found: list[tuple[int, Path]]) -> Iterator[Pair]:
    """Yield student and teacher before training and at each checkpoint, in float32.

    The teacher is the run's own: the checkpoint itself, the initial model, or the copy saved in the
    checkpoint. Arms without a teacher (SFT, GRPO) are measured against themselves, open-book.

    Args:
        config: The run's configuration.
        found: (step, path) of its checkpoints.

    Raises:
        UserError: The teacher is an external model, or the initial model is not the one the run started from.
    """
    from rlsd_cli.arms import built_in
    from rlsd_cli.models.load import load_model
    from rlsd_cli.runs.checkpoints import TEACHER_FILE

    if config.teacher.model is not None:
        raise UserError(
            "the teacher of this run is an external model that sees no reference, so Theorem 1 says nothing about it: "
            "give a run of another method."
        )

    def load(path: str) -> Any:
        return load_model(ModelConfig(path=path)).eval()

    initial = load(config.model.path)
    if shapes(initial) != shapes(load(str(found[0][1]))):
        raise UserError(
            f"the model '{config.model.path}' differs in shape from the run's checkpoints, so it is not the one "
            "that the run started from: use the rlsd version that trained it, or train again."
        )
    yield Pair(0, initial, initial)
    arm = built_in(config.method)
    source = config.teacher.source if arm is None or arm.needs_teacher else "online"
    for step, path in found:
        student = load(str(path))
        if source == "online":
            yield Pair(step, student, student)
        elif source == "frozen":
            yield Pair(step, student, initial)
        else:
            teacher = load(str(path))
            teacher.load_state_dict(teacher_weights(path / TEACHER_FILE))
            yield Pair(step, student, teacher)


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's weights by name."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def teacher_weights(path: Path) -> dict[str, Tensor]:
    """Read the teacher's copy of a checkpoint.

    Raises:
        UserError: It is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"the teacher's weights {path} cannot be read: {error}.") from None
