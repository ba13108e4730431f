"""Benchmarks from outside the package: by entry point, or as ``package.module:NAME``."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import Any

from rlsd_cli.config.outside import is_outside, load_outside
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.base import Benchmark

GROUP = "rlsd.benchmarks"
PLAIN = re.compile(r"\w[\w.-]{0,60}")  # it names files
_named: dict[str, Benchmark] = {}  # by the user, in this process


def installed() -> list[str]:
    """Return the names that installed packages offer; nothing is imported."""
    return sorted(each.name for each in entry_points(group=GROUP))


def find_outside(name: str) -> Benchmark | None:
    """Return the benchmark of an installed package or of the user's own module, None where the name is of neither.

    Raises:
        UserError: It can't be imported, or is none.
    """
    if is_outside(name):
        return name_one(name)
    for each in entry_points(group=GROUP):
        if each.name == name:
            try:
                found = each.load()
            except Exception as error:
                raise UserError(
                    f"the benchmark '{name}' of {each.value} can't be imported ({type(error).__name__}: {error}): "
                    "install its package again, or remove it."
                ) from error
            return _checked(found, name)
    return None


def name_one(name: str) -> Benchmark:
    """Return the benchmark ``package.module:NAME``, and know it from now on."""
    if name not in _named:
        _named[name] = _checked(load_outside(name, "the benchmark"), name)
    return _named[name]


def is_known(name: str) -> bool:
    """Tell whether reading stored verdicts may look a benchmark up: a stranger's file must not aim our imports."""
    return not is_outside(name) or name in _named


def _checked(found: Any, name: str) -> Benchmark:
    if not isinstance(found, Benchmark):
        raise UserError(
            f"'{name}' is no benchmark: it must be an rlsd_cli.evaluation.benchmarks.base.Benchmark "
            "(docs/adding-a-benchmark.md)."
        )
    if not PLAIN.fullmatch(found.name):
        raise UserError(
            f"the benchmark '{name}' is called '{found.name}': give letters, digits, '.', '_' and '-' only."
        )
    return found
