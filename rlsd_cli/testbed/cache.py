"""Where an embedded base's checkpoint lies: in the package, or pre-trained on first use and kept in a cache.

The cache is `$RLSD_CACHE`, or `rlsd` in `$XDG_CACHE_HOME` or `~/.cache`. A base's folder there is named by its recipe's
digest, appears whole or not at all, and is built by one process while others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rlsd_cli.config.recipe import RECIPES, Recipe, parse
from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import no_links
from rlsd_cli.tasks.arithmetic import MODULUS
from rlsd_cli.testbed.corpus import CORPUS_VERSION

ASSETS = Path(__file__).parent.parent / "assets"
Progress = Callable[[int, float], None]


def cache_dir() -> Path:
    """Return the user's cache of bases."""
    given = os.environ.get("RLSD_CACHE")
    if given:
        return Path(given).expanduser() / "bases"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlsd" / "bases"


def digest(recipe: Recipe) -> str:
    """Return the hexadecimal digest of a recipe and of what its texts are made of."""
    content = {**recipe.model_dump(), "corpus": CORPUS_VERSION, "modulus": MODULUS}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def locate(name: str) -> Path:
    """Return the directory of a base's checkpoint; a base that does not ship is pre-trained if the cache lacks it.

    Args:
        name: Like `micro-base` or `micro-base:citing=0.5`.

    Raises:
        UserError: A dial is wrong, or the cache can't be written.
    """
    recipe = parse(name)
    for preset, shipped in RECIPES.items():
        if recipe == shipped and (ASSETS / preset).is_dir():
            return ASSETS / preset
    path = cache_dir() / digest(recipe)
    if (path / "recipe.json").is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            if not (path / "recipe.json").is_file():  # another process may have built it meanwhile
                build(recipe, path, name)
    except OSError as error:
        raise UserError(
            f"the base '{name}' cannot be kept in {path.parent} ({error.strerror}): "
            "set RLSD_CACHE to a directory that can be written."
        ) from None
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for it; a process that dies gives it up."""
    with open(path, "w", opener=no_links) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(recipe: Recipe, path: Path, name: str) -> None:
    """Pre-train into a folder beside ``path`` and move it there; whatever a killed build left is removed first."""
    from rlsd_cli.testbed.pretraining import pretrain

    unfinished = path.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with shown(name, recipe.steps) as on_step:
        pretrain(recipe, unfinished, on_step)
    os.replace(unfinished, path)


@contextmanager
def shown(name: str, steps: int) -> Iterator[Progress]:
    """Show a progress bar on standard error, where that is a terminal; else a line at the start."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    console.print(f"pre-training the base '{name}' once, for {steps} steps; it is kept in {cache_dir()}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("loss   –  ", total=steps)
        yield lambda step, loss: progress.update(bar, completed=step, description=f"loss {loss:.3f}")
