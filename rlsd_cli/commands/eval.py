"""`rlsd eval`: accuracy on held-out suites."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rlsd_cli.errors import UserError


def percent(value: float, interval: list[float]) -> str:
    """Return '43.5 [36.8, 50.4]' for a share and its interval."""
    return f"{100 * value:.1f} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def chosen_run(run_dir: Path | None, model: str | None, output_dir: Path | None, config: Path | None) -> Path:
    """Return the run directory to evaluate; for an untrained model it is made.

    Raises:
        UserError: Neither or both are given, or the directory can't be used.
    """
    from rlsd_cli.artifacts import RunDir

    if model is None:
        if run_dir is None or output_dir is not None or config is not None:
            raise UserError("give a run directory, or --model with --output-dir for an untrained model.")
        return RunDir.open(run_dir).path
    if run_dir is not None or output_dir is None:
        raise UserError("--model takes --output-dir and no run directory.")
    from rlsd_cli.config import TaskConfig, read_yaml, validated
    from rlsd_cli.evaluation import base_run

    section = read_yaml(config).get("task", {}) if config else {}
    task = validated(TaskConfig, section, str(config), "task.")
    return base_run(output_dir, model, task).path


def evaluate(
    run_dir: Annotated[Path | None, typer.Argument(help="A run directory.")] = None,
    *,
    model: Annotated[
        str | None, typer.Option(help="Instead of a run: an untrained model, by name, directory or hub id.")
    ] = None,
    output_dir: Annotated[Path | None, typer.Option(help="With --model: the run directory to write.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="With --model: a YAML file whose `task` section is asked, such as a run's.")
    ] = None,
    suite: Annotated[list[str] | None, typer.Option(help="A suite; repeatable. Default: all.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Sampled completions per question (k of avg@k).")] = 4,
    temperature: Annotated[float, typer.Option(min=0.01, help="Of the sampled completions.")] = 1.0,
    step: Annotated[int | None, typer.Option(min=1, help="A checkpoint's step. Default: the final model.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions of a suite.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampling.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: torch's choice.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON on stdout.")] = False,
) -> None:
    """Evaluate a run on its held-out suites, greedy and sampled, with 95 % intervals.

    Examples:
      rlsd eval runs/micro/rlsd/seed-0 --samples 4
      rlsd eval --model micro-base --output-dir runs/micro/base/seed-0
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rlsd_cli.evaluation import EvalOptions, evaluate_run

    run_dir = chosen_run(run_dir, model, output_dir, config)  # mistakes are told before torch is loaded
    from rlsd_cli.training.run import quiet_libraries

    quiet_libraries(threads)
    talk = Console(stderr=True)
    options = EvalOptions(samples=samples, temperature=temperature, seed=seed, limit=limit)
    with talk.status("evaluating …") as status:

        def told(summary: dict[str, Any]) -> None:
            status.update(f"evaluating … {summary['suite']} done")

        summaries = evaluate_run(run_dir, options, suite or [], step, told)
    if as_json:
        typer.echo(json.dumps(summaries, indent=1))
        return
    table = Table(title=f"{escape(str(run_dir))}, step {summaries[0]['checkpoint_step']}", title_justify="left")
    for column in ("suite", "questions", "greedy, % [95 %]", f"avg@{samples}, % [95 %]", "leakage, %", "tokens"):
        table.add_column(column, justify="left" if column == "suite" else "right")
    for row in summaries:
        table.add_row(
            row["suite"],
            str(row["n_questions"]),
            percent(row["greedy_accuracy"], row["greedy_interval"]),
            percent(row["avg_at_k"], row["avg_at_k_interval"]),
            f"{100 * row['leakage_rate']:.1f}",
            f"{row['mean_length']:.1f}",
        )
    Console().print(table)
