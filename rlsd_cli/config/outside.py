"""Things of the user's own, named as ``package.module:NAME``."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from rlsd_cli.errors import UserError


def is_outside(name: str) -> bool:
    """Tell whether a name has the form ``package.module:NAME``; nothing is imported."""
    module, found, attribute = name.partition(":")
    return bool(found) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def load_outside(name: str, what: str) -> Any:
    """Import what ``package.module:NAME`` names: its code is run, so only where the user names it.

    Args:
        name: From the working directory, PYTHONPATH or an installed package.
        what: For the sentence, as in "the task".

    Raises:
        UserError: The module can't be imported or holds no such name.
    """
    module, _, attribute = name.partition(":")
    found = load_module(module, what, name, "package.module:NAME")
    if not hasattr(found, attribute):
        raise UserError(f"{what} '{name[:100]}' can't be imported: the module '{module}' holds no {attribute}.")
    return getattr(found, attribute)


def load_module(module: str, what: str, name: str = "", form: str = "a module") -> ModuleType:
    """Import a module of the user's own: its code is run, so only where the user names it.

    Args:
        module: From the working directory, PYTHONPATH or an installed package.
        what: For the sentence, as in "the method".
        name: What the user wrote, where that is more than the module.
        form: What is to be given.

    Raises:
        UserError: It can't be imported.
    """
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise UserError(
            f"{what} '{(name or module)[:100]}' can't be imported ({type(error).__name__}: {error}): "
            f"give {form} of the working directory, of PYTHONPATH or of an installed package."
        ) from error
