"""Teachers: where the weights of the open-book pass come from.

| source | weights of the teacher |
|---|---|
| online | the current policy's |
| frozen | the initial policy's |
| synced | a copy of the policy, renewed every k steps (RLSD: 10) |
| ema | an exponential moving average of the policy's (SDPO: 0.05) |
| external | another model's (OPD) |
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from trl.trainer.callbacks import SyncRefModelCallback

from rlsd_cli.config import TeacherConfig


class Teacher:
    """The online teacher, and the interface of the others."""

    def model(self, student: Any) -> Any:
        """Return the module that runs the teacher's pass; ``student`` is the trainer's (wrapped) model."""
        return student

    def after_step(self, step: int, student: Any) -> None:
        """Update the teacher's weights after optimisation step ``step`` (from 1)."""

    def save(self, path: Path, accelerator: Any) -> None:
        """Write what a resumed run needs."""

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""


class HeldTeacher(Teacher):
    """A teacher with weights of its own that never change: the initial policy, or another model."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval().requires_grad_(False)

    def model(self, student: Any) -> Any:
        """Return the teacher's own copy."""
        return self._model


class FollowingTeacher(HeldTeacher):
    """A copy that follows the policy: teacher = (1−rate)·teacher + rate·policy, every ``every`` steps."""

    def __init__(self, model: Any, every: int, rate: float) -> None:
        super().__init__(model)
        self.every = every
        self.rate = rate

    def after_step(self, step: int, student: Any) -> None:
        """Move towards the policy, or copy it (rate 1), when the step is due."""
        if step % self.every == 0:
            SyncRefModelCallback.sync_target_model(student, self._model, self.rate)

    def save(self, path: Path, accelerator: Any) -> None:
        """Write the teacher's weights: they can't be made again from the policy's."""
        if accelerator.is_main_process:
            # Clones, because tied weights share storage, which safetensors refuses.
            save_file({name: tensor.clone() for name, tensor in self._model.state_dict().items()}, path)

    def load(self, path: Path) -> None:
        """Read the teacher's weights."""
        self._model.load_state_dict(load_file(path))


def build_teacher(config: TeacherConfig, student: Any, external: Any = None) -> Teacher:
    """Return the teacher that the configuration asks for.

    Args:
        config: The ``teacher`` section.
        student: The bare model, before any trainer wraps or patches it.
        external: Another model; it wins over ``config.source``.
    """
    if external is not None:
        return HeldTeacher(external)
    if config.source == "online":
        return Teacher()
    twin = copy.deepcopy(student)
    if config.source == "frozen":
        return HeldTeacher(twin)
    if config.source == "synced":
        return FollowingTeacher(twin, every=config.sync_every, rate=1.0)
    return FollowingTeacher(twin, every=1, rate=config.ema_rate)


def same_device(teacher: Teacher, student: Any, device: torch.device) -> None:
    """Move a teacher that has its own weights to ``device``."""
    module = teacher.model(student)
    if module is not student:
        module.to(device)
