"""The arms: one file each, and one line here; or a module of one's own. See docs/adding-an-arm.md."""

from __future__ import annotations

import importlib

from rlsd_cli.arms.options import DivergenceOptions, NoOptions, Objective, Schedule
from rlsd_cli.arms.record import Arm, Look, View, look_of
from rlsd_cli.config.layers import nearest
from rlsd_cli.config.outside import load_module
from rlsd_cli.errors import UserError

__all__ = ["ARMS", "Arm", "DivergenceOptions", "Look", "NoOptions", "Objective", "Schedule", "View", "look_of"]

ARMS = {
    "sft": "rlsd_cli.arms.sft",
    "grpo": "rlsd_cli.arms.grpo",
    "opd": "rlsd_cli.arms.opd",
    "opsd": "rlsd_cli.arms.opsd",
    "sdpo": "rlsd_cli.arms.sdpo",
    "grpo_opsd": "rlsd_cli.arms.grpo_opsd",
    "rlsd": "rlsd_cli.arms.rlsd",
    "cepo": "rlsd_cli.arms.cepo",
    "rlcsd": "rlsd_cli.arms.rlcsd",
    "rlrt": "rlsd_cli.arms.rlrt",
    "srpo": "rlsd_cli.arms.srpo",
    "sdar": "rlsd_cli.arms.sdar",
    "sdpg": "rlsd_cli.arms.sdpg",
}


def is_outside(name: str) -> bool:
    """Tell whether a method names a module of the user's own: ``package.module`` that holds an ``ARM``."""
    return name not in ARMS and "." in name


def check_method(name: str) -> None:
    """Look a method up without importing anything.

    Raises:
        UserError: There is no such arm.
    """
    if name in ARMS:
        return
    if not (is_outside(name) and all(part.isidentifier() for part in name.split("."))):
        raise UserError(
            f"there is no method '{name[:100]}'{nearest(name, ARMS)}; methods: {', '.join(ARMS)}, "
            "or a module of your own, as package.module."
        )


def load_arm(name: str) -> Arm:
    """Return the arm ``name``; of a module of one's own, only where the user names it: its code is run.

    Raises:
        UserError: There is no such arm, or the module can't be imported or holds none.
    """
    check_method(name)
    return importlib.import_module(ARMS[name]).ARM if name in ARMS else _outside(name)


def built_in(name: str) -> Arm | None:
    """Return the arm ``name`` if it is one of the package's, else None; for readers of strangers' files."""
    return load_arm(name) if name in ARMS else None


def _outside(name: str) -> Arm:
    """Import an arm from PYTHONPATH, the installed packages or the working directory."""
    arm = getattr(load_module(name, "the method"), "ARM", None)
    if not isinstance(arm, Arm):
        raise UserError(
            f"the module '{name}' holds no arm: it needs ARM = rlsd_cli.arms.Arm(…), see docs/adding-an-arm.md."
        )
    return arm
