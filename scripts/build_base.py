"""Pre-train the embedded models from their seeds: `python scripts/build_base.py [NAME …]`.

The weights are the same on each run on one machine; another processor or torch version may
round otherwise, and then the checksum in recipe.json differs while the model behaves alike.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from rlsd_cli.config.recipe import RECIPES, parse
from rlsd_cli.models.libraries import quiet_libraries
from rlsd_cli.testbed.cache import ASSETS
from rlsd_cli.testbed.pretraining import pretrain


def build(name: str, path: Path) -> str:
    """Pre-train one base on one thread and say so now and then."""
    quiet_libraries(threads=1)
    recipe = parse(name)

    def show(step: int, loss: float) -> None:
        if step % max(1, recipe.steps // 10) == 0:
            print(f"{name}: step {step}/{recipe.steps}, loss {loss:.3f}", flush=True)

    pretrain(recipe, path, show)
    return f"{name}: {path}"


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(RECIPES)}. Default: all.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Default: the package's assets.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Bases at once, one thread each. Default: the cores.")] = None,
) -> None:
    """Build the named checkpoints, the longest first."""
    wanted = sorted(names or RECIPES, key=lambda name: -parse(name).operations * parse(name).steps)
    with ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        running = [pool.submit(build, name, (output_dir or ASSETS) / name) for name in wanted]
        for done in as_completed(running):
            typer.echo(done.result())


if __name__ == "__main__":
    typer.run(main)
