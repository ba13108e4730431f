"""`rlsd sweep`: arms × seeds."""

from __future__ import annotations

import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rlsd_cli.sweep.launch import Job
    from rlsd_cli.sweep.placement import Placement
    from rlsd_cli.sweep.plan import PlannedRun

WHERE = "Where the runs go"


class Engine(StrEnum):
    """What the runs are given to."""

    LOCAL = "local"
    RAY = "ray"
    SLURM = "slurm"


def sweep(
    file: Annotated[Path, typer.Argument(help="A sweep file, for example experiments/micro/demo.yaml.")],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time. Default: one per core, or as many as the GPUs hold.")
    ] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Instead of the file's output_dir.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Instead of the file's seeds; repeatable.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the commands of what is missing, a line per run (slurm: the script), and stop."
        ),
    ] = False,
    engine: Annotated[
        Engine, typer.Option(help="This machine, a Ray cluster, or a Slurm array.", rich_help_panel=WHERE)
    ] = Engine.LOCAL,
    gpus_per_run: Annotated[
        int | None,
        typer.Option(min=0, help="GPUs of each run. Default: one per process, if any.", rich_help_panel=WHERE),
    ] = None,
    processes_per_run: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of each run, by accelerate. Default: its GPUs.", rich_help_panel=WHERE),
    ] = None,
    accelerate_config: Annotated[
        Path | None, typer.Option(help="How these processes shard the weights.", rich_help_panel=WHERE)
    ] = None,
    retries: Annotated[
        int,
        typer.Option(min=0, help="Tries more for a run whose machine or process was lost.", rich_help_panel=WHERE),
    ] = 2,
    address: Annotated[
        str | None, typer.Option(help="Ray's head node. Default: $RAY_ADDRESS, or here.", rich_help_panel=WHERE)
    ] = None,
) -> None:
    """Train, evaluate and audit all runs of a sweep that are not complete yet.

    Examples:
      rlsd sweep experiments/micro/paper.yaml --jobs 2
      rlsd sweep experiments/micro/paper.yaml --dry-run | xargs -P 4 -I{} sh -c '{}'
      rlsd sweep experiments/micro/paper.yaml --engine slurm --gpus-per-run 1 --dry-run > paper.sh

    A printed line means the same with its quotes and without them, since xargs takes quotes off what it reads.
    """
    from rlsd_cli.sweep.launch import jobs_of
    from rlsd_cli.sweep.placement import placement_of
    from rlsd_cli.sweep.plan import plan, read_sweep
    from rlsd_cli.sweep.shell import shell_line

    if address is not None and engine is not Engine.RAY:
        raise UserError("--address is that of a Ray cluster: add --engine ray.")
    if engine is Engine.SLURM and not dry_run:
        raise UserError(
            "--engine slurm writes an array script and submits nothing: add --dry-run, and give the script to sbatch."
        )
    placement = placement_of(gpus_per_run, processes_per_run, accelerate_config, retries)
    runs = plan(read_sweep(file), output_dir, seed)
    queue = jobs_of([placement.placed(run) for run in runs])
    todo = [job for job in queue if job.commands]
    if dry_run and engine is Engine.SLURM:
        from rlsd_cli.sweep.slurm import array_script

        if todo:
            typer.echo(array_script(todo, placement, file.stem, common(runs), jobs), nl=False)
        else:
            typer.echo("all runs are complete; there is nothing to submit.", err=True)
    elif dry_run:
        for job in todo:
            typer.echo(shell_line(job.commands))
    else:
        start(queue, engine, placement, jobs, address)


def common(runs: list[PlannedRun]) -> Path:
    """Return the sweep's directory: each run's is two below it."""
    return runs[0].path.parent.parent


def start(queue: list[Job], engine: Engine, placement: Placement, jobs: int | None, address: str | None) -> None:
    """Run a queue with a live table, and say what has become of it.

    Raises:
        UserError: The machine or the cluster can't hold a run.
        typer.Exit: With code 1 where a run failed or was stopped, 130 on Ctrl-C.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    how, go = launcher(queue, engine, placement, jobs, address)
    # Slurm and `kill` ask with SIGTERM: treated as Ctrl-C, so that the runs save a checkpoint and leave.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    console.print(f"{len(queue)} runs, {sum(bool(job.commands) for job in queue)} to do, {how}", highlight=False)
    try:
        if console.is_terminal:
            with Live(table_of(queue), console=console, refresh_per_second=2) as live:
                good = go(lambda state: live.update(table_of(state)))
        else:
            good = go(PlainReport(console))
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on where the runs were.", highlight=False)
        raise typer.Exit(130) from None
    for job in queue:
        if job.state == "stopped":
            console.print(
                f"{job.run.name} was stopped; the same command goes on with it", markup=False, highlight=False
            )
        if job.state == "failed":
            why = f" ({job.reason})" if job.reason else ""
            console.print(
                f"{job.run.name} failed{why}; its output is in {job.log}", style="red", markup=False, highlight=False
            )
    if not good:
        raise typer.Exit(1)


def launcher(
    queue: list[Job], engine: Engine, placement: Placement, jobs: int | None, address: str | None
) -> tuple[str, Callable[[Callable[[list[Job]], None]], bool]]:
    """Return how many runs go at a time, in words, and what starts them.

    Raises:
        UserError: This machine can't hold a run.
    """
    if engine is Engine.RAY:
        from rlsd_cli.sweep.ray_cluster import launch_on_ray

        held = f"{jobs} at a time" if jobs else "as many at a time as the cluster holds"
        return held, lambda report: launch_on_ray(queue, placement, address, jobs, report)
    from rlsd_cli.sweep.child import forks
    from rlsd_cli.sweep.launch import launch
    from rlsd_cli.sweep.placement import devices_of

    placement, gpus, parallel = devices_of(placement, jobs, accelerated=not forks())
    on = f" on {len(gpus)} GPU{'s' * (len(gpus) > 1)}, {placement.gpus} each" if gpus else ""
    each, tries = placement.gpus, placement.tries
    return (
        f"{parallel} at a time{on}",
        lambda report: launch(queue, parallel, report, gpus=gpus, gpus_per_run=each, tries=tries),
    )


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
        step, reward, leakage = progress_of(job) if job.state not in ("waiting", "queued") else ("", "", "")
        state = f"{job.state}, lost {job.lost}×" if job.lost else job.state
        table.add_row(escape(job.run.name), state, step, reward, leakage)
    return table


class PlainReport:
    """Prints a line when a run starts or ends, for terminals that can't show a live table."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.known: dict[str, str] = {}
        self.lost: dict[str, int] = {}

    def __call__(self, jobs: list[Job]) -> None:
        """Print what has changed."""
        for job in jobs:
            before = self.known.get(job.run.name, "waiting")
            if job.lost > self.lost.get(job.run.name, 0):
                self.console.print(f"{job.run.name}: lost, started again", markup=False, highlight=False)
            self.lost[job.run.name] = job.lost
            if job.state not in {before, "done before"}:
                time = f" after {job.seconds:.0f} s" if job.state in ("done", "failed", "stopped") else ""
                self.console.print(f"{job.run.name}: {job.state}{time}", markup=False, highlight=False)
            self.known[job.run.name] = job.state
