"""The arms: one file each, and one line here. See docs/adding-an-arm.md."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rlsd_cli.config.layers import Section, nearest
from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    from rlsd_cli.training.context import RunContext

ARMS = {
    "sft": "rlsd_cli.arms.sft",
    "grpo": "rlsd_cli.arms.grpo",
    "opd": "rlsd_cli.arms.opd",
    "opsd": "rlsd_cli.arms.opsd",
    "sdpo": "rlsd_cli.arms.sdpo",
    "grpo_opsd": "rlsd_cli.arms.grpo_opsd",
    "rlsd": "rlsd_cli.arms.rlsd",
}


class NoOptions(Section):
    """The objective of an arm that has no options of its own."""


@dataclass(frozen=True)
class Arm:
    """What the suite knows of an arm.

    Attributes:
        name: The value of ``--method``.
        summary: The objective in one line.
        data: Whose tokens are trained on.
        direction: Who decides whether a token becomes more or less probable.
        options: The pydantic section that ``objective`` must satisfy.
        trainer: A function of a `RunContext` that returns a ready trainer.
        defaults: Configuration that the arm's source prescribes, below presets.
        needs_teacher: Whether the arm runs a teacher's pass.
        learns_solutions: Whether the arm trains on the reference solutions themselves.
        teacher: Who the teacher is, where ``teacher.source`` does not say it.
        reference: What is privileged, where ``teacher.reference`` does not say it.
    """

    name: str
    summary: str
    data: Literal["on-policy", "off-policy"]
    direction: Literal["environment", "teacher", "both"]
    trainer: Callable[[RunContext], Any]
    options: type[Section] = NoOptions
    defaults: dict[str, Any] = field(default_factory=dict)
    needs_teacher: bool = True
    learns_solutions: bool = False
    teacher: str = ""
    reference: str = ""


def check_method(name: str) -> None:
    """Look a method up without importing anything.

    Raises:
        UserError: There is no such arm.
    """
    if name not in ARMS:
        raise UserError(f"there is no method '{name[:100]}'{nearest(name, ARMS)}; methods: {', '.join(ARMS)}.")


def load_arm(name: str) -> Arm:
    """Return the arm ``name``; only its own module is imported, which takes seconds the first time.

    Raises:
        UserError: There is no such arm.
    """
    check_method(name)
    return importlib.import_module(ARMS[name]).ARM
