"""Which code judges an answer: a digest that changes when a verdict might."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterable
from importlib import import_module, metadata
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from rlsd_cli.tasks.base import Task

MATHEMATICS = ("math-verify", "latex2sympy2_extended", "sympy")  # what compares expressions


def code(thing: Any) -> str:
    """Return the code of a function or module without comments, docstrings and layout.

    What has no readable source (made at run time, compiled) is told by its name.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError):
        return str(getattr(thing, "__qualname__", thing))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if body and isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            body[:] = body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def reached(function: Callable[..., Any], found: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a function and the functions that it calls by a global name, with the plain constants that they use."""
    found = {} if found is None else found
    function = inspect.unwrap(function)
    key = f"{function.__module__}.{function.__qualname__}"
    if key in found or not inspect.isfunction(function):
        return found
    found[key] = function
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if inspect.isfunction(value):
            reached(value, found)
        elif isinstance(value, str | int | float | tuple | frozenset):
            plain = sorted(map(repr, value)) if isinstance(value, frozenset) else value
            found[f"{function.__module__}.{name}"] = repr(plain)
    return found


def digest_of(things: Iterable[Any], packages: Iterable[str] = ()) -> str:
    """Return a digest of code, and of the installed versions of packages that it calls."""
    told = hashlib.sha256()
    for thing in things:
        told.update((thing if isinstance(thing, str) else code(thing)).encode())
    for name in packages:
        try:
            told.update(f"{name} {metadata.version(name)}".encode())
        except metadata.PackageNotFoundError:
            told.update(f"{name} absent".encode())
    return told.hexdigest()[:12]


@functools.cache
def verifiers() -> tuple[ModuleType, ...]:
    """Return the modules of rlsd_cli.verifiers."""
    package = import_module("rlsd_cli.verifiers")
    return tuple(import_module(f"{package.__name__}.{each.name}") for each in iter_modules(package.__path__))


def of_task(task: Task) -> str:
    """Return the version of a task's verdicts: of the code that `verify` reaches.

    A task that judges by the suite's verifiers has an attribute ``verifier``: these and math-verify count too; of
    the generators' own verifiers, reasoning-gym's version.
    """
    judge = reached(type(task).verify).values()
    if hasattr(task, "verifier"):
        return digest_of([*judge, *verifiers()], MATHEMATICS)
    return digest_of(judge, ["reasoning-gym"] if task.name == "reasoning_gym" else [])


def of_benchmark(judge: Callable[..., Any]) -> str:
    """Return the version of a benchmark's verdicts: its own module, the suite's verifiers and math-verify."""
    return digest_of([inspect.getmodule(judge), *verifiers()], MATHEMATICS)
