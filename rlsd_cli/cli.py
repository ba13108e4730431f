"""The `rlsd` command line."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rlsd_cli import __version__
from rlsd_cli.commands import arms, leakage_audit, plan, plot, push, sweep, theory, train
from rlsd_cli.commands import eval as evaluation
from rlsd_cli.errors import UserError

app = typer.Typer(
    name="rlsd",
    help="Compare self-distillation with RL for language models: train, evaluate, audit for leakage, plot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def show_version(value: bool) -> None:
    """Print the version and leave."""
    if value:
        typer.echo(f"rlsd {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that come before a command."""


app.command("train")(train.train)
app.command("theory")(theory.theory)
app.command("eval")(evaluation.evaluate)
app.command("plot")(plot.plot)
app.command("sweep")(sweep.sweep)
app.command("arms")(arms.arms)
app.command("plan")(plan.plan)
app.command("push")(push.push)
app.command("leakage-audit")(leakage_audit.leakage_audit)


def harmless(text: str) -> str:
    """Return ``text`` with control characters, which a terminal would obey, as escapes; keys of files have some."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def main() -> None:
    """Run the command line; a `UserError` becomes one sentence on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"rlsd: {harmless(str(error))}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # `rlsd plot … | head` closes the pipe early: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
