"""`rlsd train`: one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlsd_cli.arms import configure
from rlsd_cli.config import layers
from rlsd_cli.config.assignments import parse_assignment

WHAT, OUTPUT = "What to run", "Output"


def train(
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="The arm; `rlsd arms` lists them.", rich_help_panel=WHAT)
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Settings from experiments/PRESET/METHOD.yaml.", rich_help_panel=WHAT)
    ] = "micro",
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML file instead of a preset, for example a run's config.yaml.", rich_help_panel=WHAT),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.SUB=VALUE", help="Set one value; repeatable.", rich_help_panel=WHAT),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of data, sampling and probes.", rich_help_panel=WHAT)
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Run directory. Default: runs/PRESET/LABEL/seed-N.", rich_help_panel=OUTPUT)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output directory.", rich_help_panel=OUTPUT)
    ] = False,
    report_to: Annotated[
        str | None,
        typer.Option(help="trackio, wandb or tensorboard, beside metrics.jsonl.", rich_help_panel=OUTPUT),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Train one arm with one seed.

    Examples:
      rlsd train --method rlsd
      rlsd train --method opsd --set objective.beta=1.0 --set label=opsd-reverse --seed 3
    """
    from rlsd_cli.commands.progress import TrainProgress
    from rlsd_cli.training.distributed import rank
    from rlsd_cli.training.run import train as run_training

    log = None if report_to is None else {"report_to": report_to}
    flags = {key: value for key, value in (("method", method), ("seed", seed), ("log", log)) if value is not None}
    if config is not None:
        layer, source = layers.read_yaml(config), str(config)
    else:
        chosen = method or "rlsd"
        layer, source = configure.preset_layer(preset, chosen), f"preset '{preset}'"
    sets = [parse_assignment(text) for text in assignments or []]
    resolved = configure.build([layer, flags, *sets], source if not sets else f"{source} with --set")
    path = output_dir or Path("runs") / (config.stem if config else preset) / resolved.name / f"seed-{resolved.seed}"
    with TrainProgress(resolved, path, quiet=quiet or rank() > 0) as progress:
        run_training(resolved, path, resume=resume, on_step=progress.update, say=progress.say)
    progress.close_with_summary()
