"""`rlsd report`: one page with verdicts, curves, samples and tables that needs no other file and no network."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rlsd_cli.report.claims.registry import PAPER


def report(
    run_dirs: Annotated[
        list[Path], typer.Argument(metavar="RUN_DIR…", help="Run directories, or directories that hold some.")
    ],
    *,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Default: results/ and the name of the one directory of runs given, else results/plot."),
    ] = None,
    paper: Annotated[
        str, typer.Option(metavar="ID", help="Judge the claims of this paper, by its arXiv number.")
    ] = PAPER,
    figures: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PACKAGE.MODULE", help="A module of your own with more claims; repeatable. Its code is run."
        ),
    ] = None,
    gates: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Gates of the bases. Default: results/gates, if it is there."),
    ] = None,
) -> None:
    """Write REPORT.html: a card per claim, curves with a slider, samples with their credit, tables that sort.

    Examples:
      rlsd report runs/micro --output-dir results/micro
      rlsd report results/demo/runs --output-dir /tmp/demo
    """
    from rich.console import Console

    from rlsd_cli.report.figures import FIGURES, outside
    from rlsd_cli.report.runs import output_of
    from rlsd_cli.report.web.write import write

    for module in figures or ():
        FIGURES.update(outside(module))
    talk = Console(stderr=True)
    with talk.status("reading the runs …") as status:
        written = write(
            run_dirs,
            output_dir or output_of(run_dirs),
            paper=paper,
            gates=gates or Path("results/gates"),
            command=shlex.join(["rlsd", *sys.argv[1:]]) if sys.argv[1:2] == ["report"] else "rlsd report",
            told=lambda what: status.update(f"{what} …"),
        )
    for note in written.notes:
        talk.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    for name, reason in written.absent:
        talk.print(f"not in it: {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    typer.echo(written.path)
