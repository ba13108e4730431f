"""`rlsd testbed`: whether the embedded bases can show what they are made to show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The embedded bases, and whether they pass their gates.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Make `gates` a command of its own, though it is the only one."""


@app.command("gates")
def gates(
    base: Annotated[
        list[str] | None, typer.Option(help="Such as micro-base:citing=0.5; may be repeated. Default: those that ship.")
    ] = None,
    questions: Annotated[int, typer.Option(min=20, help="Questions per base.")] = 200,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers here as well.")] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Write BASE.json for `rlsd plot --gates` into this folder, such as results/gates."),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Renew the tables between the marks of this page.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=1024)] = None,
) -> None:
    """Measure whether a base reads references as a Bayesian would, and whether credit for tokens can gain on it.

    Example:
      rlsd testbed gates
      rlsd testbed gates --base micro-base:citing=0.5
    """
    from rich.console import Console

    from rlsd_cli.config.recipe import RECIPES, is_base, parse
    from rlsd_cli.config.run import ModelConfig
    from rlsd_cli.errors import UserError
    from rlsd_cli.gates.base import gates as judged
    from rlsd_cli.gates.base import measure_base
    from rlsd_cli.gates.page import as_json, behaviour_table, gates_table, markdown, replaced
    from rlsd_cli.gates.records import record
    from rlsd_cli.models.libraries import quiet_libraries
    from rlsd_cli.models.load import load_model, load_tokenizer
    from rlsd_cli.runs.directory import write_json, write_text
    from rlsd_cli.tasks.arithmetic import ArithmeticTask
    from rlsd_cli.testbed.corpus import wording

    names = base or ["micro-base", "micro-credit"]
    for name in names:
        if not is_base(name):
            raise UserError(f"'{name}' is no embedded base: give one of {', '.join(RECIPES)}, with dials if you like.")
    recipes = {name: parse(name) for name in names}
    if page and not page.is_file():
        raise UserError(f"{page} does not exist: give a page with marks for the tables.")
    quiet_libraries(threads)
    console, found = Console(), {}
    for name, recipe in recipes.items():
        model = load_model(ModelConfig(path=name)).eval()
        task = ArithmeticTask(recipe.operations, wording(recipe))
        found[name] = measure_base(model, load_tokenizer(name), task, questions=questions)
        console.print(f"[bold]{name}[/bold]", highlight=False)
        console.print(behaviour_table(found[name].behaviour))
        console.print(gates_table(judged(found[name])))
    if output_dir:
        for name, measured in found.items():
            write_json(output_dir / f"{name}.json", record(measured))
    if json_file:
        write_json(json_file, as_json(found))
    if page:
        write_text(page, replaced(page.read_text(encoding="utf-8"), markdown(found)))
