"""`rlsd theory`: the paper's theorems, checked exactly, or estimated on the checkpoints of a run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rlsd_cli.runs.directory import RunDir
    from rlsd_cli.theory.testbed import FloorOptions

RUN, OUTPUT = "With a run directory", "Output"


class Prior(StrEnum):
    """Which P(r|x) the floor is taken under."""

    kinds = "kinds"
    beliefs = "beliefs"


def theory(
    run_dir: Annotated[
        Path | None,
        typer.Argument(help="A run: estimate loss and floor at its checkpoints. Default: the exact checks."),
    ] = None,
    *,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where report.json and the figures go. Default: RUN_DIR/theory; nothing for the exact checks.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random models, or of the sampling.")] = 0,
    prior: Annotated[
        Prior,
        typer.Option(
            help="P(r|x): uniform over answer, solution, other route; or answers drawn from the student's own beliefs.",
            rich_help_panel=RUN,
        ),
    ] = Prior.kinds,
    questions: Annotated[int, typer.Option(min=2, help="Held-out questions.", rich_help_panel=RUN)] = 100,
    samples: Annotated[int, typer.Option(min=2, help="Completions per question.", rich_help_panel=RUN)] = 4,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads. Default: torch's choice.")] = None,
) -> None:
    """Check the paper's theorems: exactly on enumerable models, or by estimation on a run's checkpoints.

    Exit code 1: an identity that is proven came out wrong, so the code is broken.
    """
    from rlsd_cli.runs.directory import RunDir

    if run_dir is not None:
        RunDir.open(run_dir)  # a wrong path is told before torch is loaded
    from rlsd_cli.models.libraries import quiet_libraries

    # The enumerable models are small: a second thread costs more than it brings.
    quiet_libraries(threads or (1 if run_dir is None else None))
    if run_dir is None:
        check_exactly(output_dir, seed)
    else:
        from rlsd_cli.theory.testbed import FloorOptions

        options = FloorOptions(questions=questions, samples=samples, prior=prior.value, seed=seed)
        estimate_floor(run_dir, output_dir or run_dir / "theory", options)


def check_exactly(output_dir: Path | None, seed: int) -> None:
    """Run the exact checks, print them and write what was asked for."""
    from rich.console import Console

    from rlsd_cli.theory.exact import report, run_exact
    from rlsd_cli.theory.outcomes import trade_offs
    from rlsd_cli.theory.tables import check_table, notes, trade_off_table

    console, talk = Console(), Console(stderr=True)
    with talk.status("checking …") as status:
        exact = run_exact(seed, lambda part: status.update(f"checking: {part} …"))
    console.print(check_table(exact.checks))
    for note in notes(exact.checks):
        console.print(note, highlight=False)
    console.print(trade_off_table(trade_offs(exact.dynamics)))
    if output_dir is not None:
        from rlsd_cli.report.style import save, styled
        from rlsd_cli.runs.directory import write_json
        from rlsd_cli.theory.figures import direction_figure, dynamics_figure

        write_json(output_dir / "report.json", report(exact))
        with styled("paper"):  # while it is saved too: that decides the resolution
            save(dynamics_figure(exact.dynamics), output_dir / "theory-dynamics", ("pdf", "png"))
            save(direction_figure(exact.direction), output_dir / "theory-direction", ("pdf", "png"))
        talk.print(f"report and figures: {output_dir}", highlight=False, soft_wrap=True)
    if exact.broken:
        raise typer.Exit(1)


def estimate_floor(run_dir: Path, output_dir: Path, options: FloorOptions) -> None:
    """Estimate loss and floor at each checkpoint, print them and write report.json and the figure."""
    from dataclasses import asdict

    from rich.console import Console

    from rlsd_cli.report.style import save, styled
    from rlsd_cli.runs.directory import RunDir, write_json
    from rlsd_cli.theory.estimate import as_json
    from rlsd_cli.theory.figures import floor_figure
    from rlsd_cli.theory.identity_checks import IDENTITY
    from rlsd_cli.theory.tables import floor_table
    from rlsd_cli.theory.testbed import estimate_run

    console, talk = Console(), Console(stderr=True)
    with talk.status("scoring …") as status:
        floors = estimate_run(run_dir, options, lambda step: status.update(f"scoring step {step} …"))
    console.print(floor_table(floors, f"{run_dir}: Theorem 1 under P(r|x) = {options.prior}"))
    rows = [
        {
            "step": row.step,
            **as_json(row.estimate),
            "cosine_by_mix": {f"{mix:g}": found._asdict() for mix, found in row.cosines.items()},
        }
        for row in floors
    ]
    suffix = "" if options.prior == "kinds" else f"-{options.prior}"
    write_json(output_dir / f"report{suffix}.json", {"kind": "floor", **asdict(options), "checkpoints": rows})
    run = RunDir.open(run_dir)
    own = run.config()["teacher"]["reference"]
    with styled("paper"):
        save(floor_figure(floors, own, logged_divergence(run)), output_dir / f"theory-floor{suffix}", ("pdf", "png"))
    talk.print(f"report and figure: {output_dir}", highlight=False, soft_wrap=True)
    if max(row.estimate.residual for row in floors) > IDENTITY:
        raise typer.Exit(1)


def logged_divergence(run: RunDir) -> dict[int, float]:
    """Return KL(teacher ‖ student) by step as training logged it; empty for arms that log none."""
    if not run.metrics_file.is_file():
        return {}
    lines = {int(line["step"]): line.get("teacher/kl_forward") for line in run.metrics()}
    return {step: value for step, value in lines.items() if value is not None}
