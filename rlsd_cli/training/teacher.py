"""Teachers: where the weights of the open-book pass come from.

| source | weights of the teacher |
|---|---|
| online | the current policy's |
| frozen | the initial policy's |
| synced | a copy of the policy, renewed every k steps (RLSD: 10) |
| ema | an exponential moving average of the policy's (SDPO: 0.05) |
| external | another model's (OPD) |

With LoRA no second model is held: a teacher is a copy of the adapter's weights, put in place for its pass; the
frozen one's are those of the start, which change nothing. (The average that ``ema`` keeps is then one of LoRA's
two factors, not of their product.)
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor
from trl.trainer.callbacks import SyncRefModelCallback

from rlsd_cli.arms import View
from rlsd_cli.config.run import TeacherConfig
from rlsd_cli.errors import UserError
from rlsd_cli.models.processors import takes_images
from rlsd_cli.training.blank_picture import look_always
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.distributed import world_size
from rlsd_cli.training.sharded import gathered, load_whole, place, reshard, whole, whole_state


class Teacher:
    """The online teacher, and the interface of the others."""

    def model(self, student: Any) -> Any:
        """Return the module that runs the teacher's pass; ``student`` is the trainer's (wrapped) model."""
        return student

    @contextmanager
    def in_place(self, student: Any) -> Iterator[None]:
        """Hold the teacher's weights in ``model(student)`` for the block; ``student`` is the bare model.

        Nothing may be recorded for a backward pass before or in the block.
        """
        yield

    def prepare(self, accelerator: Any) -> None:
        """Put weights of the teacher's own where the accelerator has the policy's: on its device, or sharded."""

    def after_step(self, step: int, student: Any) -> None:
        """Update the teacher's weights after optimisation step ``step`` (from 1)."""

    def save(self, path: Path, accelerator: Any) -> None:
        """Write what a resumed run needs; every process calls this."""

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""


class HeldTeacher(Teacher):
    """A teacher with weights of its own that never change: the initial policy, or another model."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval().requires_grad_(False)

    def model(self, student: Any) -> Any:
        """Return the teacher's own copy."""
        return self._model

    def prepare(self, accelerator: Any) -> None:
        """Place the copy."""
        self._model = place(self._model, accelerator)


class FollowingTeacher(HeldTeacher):
    """A copy that follows the policy: teacher = (1−rate)·teacher + rate·policy, every ``every`` steps."""

    def __init__(self, model: Any, every: int, rate: float) -> None:
        super().__init__(model)
        self.every = every
        self.rate = rate

    def after_step(self, step: int, student: Any) -> None:
        """Move towards the policy, or copy it (rate 1), when the step is due."""
        if step % self.every == 0:
            reshard(student)
            reshard(self._model)
            SyncRefModelCallback.sync_target_model(student, self._model, self.rate)

    def save(self, path: Path, accelerator: Any) -> None:
        """Write the teacher's weights: they can't be made again from the policy's."""
        state = whole_state(self._model)
        if accelerator.is_main_process:
            save_file(state, path)

    def load(self, path: Path) -> None:
        """Read the teacher's weights."""
        load_whole(self._model, load_file(path))


class HeldAdapter(Teacher):
    """The policy with other values of its adapter, cut into shards as those are: at first the initial policy's.

    PEFT's way of switching the adapter off is not used: it changes which weights ask for gradients, of those that
    happen to lie whole while the others are in shards, and FSDP2 then leaves them untrained.
    """

    def __init__(self, student: Any) -> None:
        self._values = {name: weight.detach().clone() for name, weight in trained(student)}

    def prepare(self, accelerator: Any) -> None:
        """Move the values to the device."""
        self._values = {name: value.to(accelerator.device) for name, value in self._values.items()}

    @contextmanager
    @torch.no_grad()
    def in_place(self, student: Any) -> Iterator[None]:
        """Swap the teacher's values in, and the policy's back."""
        own = self._swap(student, self._values)
        try:
            yield
        finally:
            self._swap(student, own)

    def _swap(self, student: Any, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Put values into the policy, and return those that were there."""
        before = {}
        with self._weights(student, writes=True) as weights:
            for name, weight in weights:
                before[name] = weight.detach().clone()
                weight.data.copy_(values[name])
        return before

    @contextmanager
    def _weights(self, student: Any, writes: bool = False) -> Iterator[list[tuple[str, torch.Tensor]]]:
        """Give the policy's weights, to be read or written, with the teacher's values cut as they are."""
        reshard(student)
        weights = trained(student)
        for name, weight in weights:
            value = self._values[name]
            if isinstance(weight, DTensor) and not isinstance(value, DTensor):
                self._values[name] = distribute_tensor(value, weight.device_mesh, weight.placements)
        with gathered([weight for _, weight in weights], writes):
            yield weights


class FollowingAdapter(HeldAdapter):
    """Values of the adapter that follow the policy's, as those of `FollowingTeacher` do."""

    def __init__(self, student: Any, every: int, rate: float) -> None:
        super().__init__(student)
        self.every = every
        self.rate = rate

    @torch.no_grad()
    def after_step(self, step: int, student: Any) -> None:
        """Move towards the policy, or copy it (rate 1), when the step is due."""
        if step % self.every == 0:
            with self._weights(student) as weights:
                for name, weight in weights:
                    self._values[name].lerp_(weight.detach(), self.rate)

    def save(self, path: Path, accelerator: Any) -> None:
        """Write the teacher's values."""
        values = {name: whole(value) for name, value in self._values.items()}
        if accelerator.is_main_process:
            save_file(values, path)

    def load(self, path: Path) -> None:
        """Read the teacher's values; before the policy is cut into shards."""
        for name, value in load_file(path).items():
            self._values[name].copy_(value)


def trained(model: Any) -> list[tuple[str, torch.Tensor]]:
    """Return the weights that training changes, by name."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def build_teacher(config: TeacherConfig, student: Any) -> Teacher:
    """Return the teacher that ``teacher.source`` asks for.

    Args:
        config: The ``teacher`` section.
        student: The bare model, before any trainer wraps or patches it.
    """
    if config.source == "online":
        return Teacher()
    if config.source == "frozen":
        return frozen_teacher(student)
    every, rate = (config.sync_every, 1.0) if config.source == "synced" else (1, config.ema_rate)
    if hasattr(student, "peft_config"):
        return FollowingAdapter(student, every, rate)
    return FollowingTeacher(copy.deepcopy(student), every, rate)


def frozen_teacher(student: Any) -> Teacher:
    """Return a teacher with the policy's present weights for good."""
    return HeldAdapter(student) if hasattr(student, "peft_config") else HeldTeacher(copy.deepcopy(student))


def teachers_of(context: RunContext, views: Iterable[View]) -> dict[str, Teacher]:
    """Return the teachers that views ask for, by ``View.weights``; equal weights are held once.

    Raises:
        UserError: The external teacher is not named, or does not fit the student.
    """
    teachers: dict[str, Teacher] = {}
    for weights in sorted({view.weights for view in views}):
        if weights == "external":
            teachers[weights] = HeldTeacher(external_model(context))
        elif weights == "configured":
            teachers[weights] = build_teacher(context.config.teacher, context.model)
        elif context.config.teacher.source == "frozen" and "configured" in teachers:
            teachers[weights] = teachers["configured"]
        else:
            teachers[weights] = frozen_teacher(context.model)
    return teachers


def external_model(context: RunContext) -> Any:
    """Return the model that ``teacher.model`` names.

    Raises:
        UserError: It is not named, or its vocabulary or its way of reading images is not the student's.
    """
    from rlsd_cli.models.load import load_model

    config = context.config
    if config.teacher.model is None:
        raise UserError(f"{config.method} needs a teacher: set teacher.model to a name, a directory or a hub id.")
    teacher = load_model(config.model.model_copy(update={"path": config.teacher.model}))
    ours, theirs = (model.config.get_text_config().vocab_size for model in (context.model, teacher))
    if ours != theirs:
        raise UserError(
            f"the teacher '{config.teacher.model}' has {theirs} vocabulary entries and the student {ours}: "
            "choose a teacher with the student's vocabulary."
        )
    if context.dataset[0].get("images") and image_layout(teacher) != image_layout(context.model):
        raise UserError(
            f"the teacher '{config.teacher.model}' does not read images as the student does "
            f"({image_layout(teacher)} against {image_layout(context.model)}): choose a teacher of its family."
        )
    if world_size() > 1 and takes_images(context.tokenizer):
        look_always(teacher, context.tokenizer)
    return teacher


def image_layout(model: Any) -> dict[str, Any]:
    """Return what a model's image inputs depend on: equal for models that can share them, empty for text models."""
    vision = getattr(model.config, "vision_config", None)
    names = ("patch_size", "temporal_patch_size", "spatial_merge_size", "image_size")
    layout = {name: getattr(vision, name) for name in names if hasattr(vision, name)}
    return {"image_token_id": model.config.image_token_id, **layout} if layout else {}
