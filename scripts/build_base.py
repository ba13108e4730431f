"""Pre-train the embedded models from their seeds: `python scripts/build_base.py [NAME …]`.

The weights are the same on each run on one machine; another processor or torch version may
round otherwise, and then the checksum in recipe.json differs while the model behaves alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from rlsd_cli.models.libraries import quiet_libraries
from rlsd_cli.models.load import resolve
from rlsd_cli.pretrain import RECIPES, pretrain


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(RECIPES)}. Default: all.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Default: the package's assets.")] = None,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Build the named checkpoints."""
    quiet_libraries(threads)
    for name in names or list(RECIPES):
        recipe = RECIPES[name]
        path = output_dir / name if output_dir else Path(resolve(name))
        with Progress() as progress:
            bar = progress.add_task(name, total=recipe.steps)

            def show(
                step: int, loss: float, name: str = name, bar: object = bar, progress: Progress = progress
            ) -> None:
                progress.update(bar, completed=step, description=f"{name}  loss {loss:.3f}")  # type: ignore[arg-type]

            pretrain(recipe, path, show)
        typer.echo(f"{name}: {path}")


if __name__ == "__main__":
    typer.run(main)
