"""`rlsd sweep`: arms × seeds."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rlsd_cli.sweep.launch import Job


def sweep(
    file: Annotated[Path, typer.Argument(help="A sweep file, for example experiments/micro/demo.yaml.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time. Default: one per core.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Instead of the file's output_dir.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Instead of the file's seeds; repeatable.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the commands of what is missing, a line per run, and stop.")
    ] = False,
) -> None:
    """Train, evaluate and audit all runs of a sweep that are not complete yet.

    Examples:
      rlsd sweep experiments/micro/paper.yaml --jobs 2
      rlsd sweep experiments/micro/paper.yaml --dry-run | xargs -P 4 -I{} sh -c '{}'

    A printed line means the same with its quotes and without them, since xargs takes quotes off what it reads.
    """
    from rich.console import Console
    from rich.live import Live

    from rlsd_cli.sweep.launch import jobs_of, launch
    from rlsd_cli.sweep.plan import plan, read_sweep
    from rlsd_cli.sweep.shell import shell_line

    settings = read_sweep(file)
    runs = plan(settings, output_dir, seed)
    queue = jobs_of(runs)
    if dry_run:
        for job in queue:
            if job.commands:
                typer.echo(shell_line(job.commands))
        return
    # Slurm and `kill` ask with SIGTERM: treated as Ctrl-C, so that the runs save a checkpoint and leave.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    console = Console(stderr=True)
    parallel = jobs or os.cpu_count() or 1
    missing = sum(bool(job.commands) for job in queue)
    console.print(f"{len(queue)} runs, {missing} to do, {parallel} at a time", highlight=False)
    try:
        if console.is_terminal:
            with Live(table_of(queue), console=console, refresh_per_second=2) as live:
                good = launch(queue, parallel, lambda state: live.update(table_of(state)))
        else:
            good = launch(queue, parallel, PlainReport(console))
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on where the runs were.", highlight=False)
        raise typer.Exit(130) from None
    for job in queue:
        if job.state == "stopped":
            console.print(
                f"{job.run.name} was stopped; the same command goes on with it", markup=False, highlight=False
            )
        if job.state == "failed":
            console.print(
                f"{job.run.name} failed; its output is in {job.log}", style="red", markup=False, highlight=False
            )
    if not good:
        raise typer.Exit(1)


def progress_of(job: Job) -> tuple[str, str, str]:
    """Return (step, reward, leakage) of a job from its run directory, as far as it has got."""
    from rlsd_cli.commands.progress import number
    from rlsd_cli.runs.directory import RunDir, read_json_lines

    run_dir = RunDir(job.run.path)
    records = read_json_lines(run_dir.metrics_file) if run_dir.metrics_file.is_file() else []
    last = records[-1] if records else {}
    if not job.run.train:
        return "–", "–", "–"
    total = job.run.config.train.steps
    reward = last.get("reward", last.get("probe/accuracy"))
    leakage = last.get("leakage/rate", last.get("probe/leakage"))
    return f"{last.get('step', 0)}/{total}", number(reward), number(leakage)


def table_of(jobs: list[Job]) -> Table:
    """Return the live table of all runs."""
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for column in ("run", "state", "step", "reward", "leakage"):
        table.add_column(column, justify="left" if column in ("run", "state") else "right")
    for job in jobs:
        step, reward, leakage = progress_of(job) if job.state != "waiting" else ("", "", "")
        table.add_row(escape(job.run.name), job.state, step, reward, leakage)
    return table


class PlainReport:
    """Prints a line when a run starts or ends, for terminals that can't show a live table."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.known: dict[str, str] = {}

    def __call__(self, jobs: list[Job]) -> None:
        """Print what has changed."""
        for job in jobs:
            before = self.known.get(job.run.name, "waiting")
            if job.state not in {before, "done before"}:
                time = f" after {job.seconds:.0f} s" if job.state in ("done", "failed", "stopped") else ""
                self.console.print(f"{job.run.name}: {job.state}{time}", markup=False, highlight=False)
            self.known[job.run.name] = job.state
