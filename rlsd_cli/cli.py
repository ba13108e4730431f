"""The `rlsd` command line."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rlsd_cli import __version__
from rlsd_cli.commands import (
    arms,
    import_logs,
    leakage_audit,
    plan,
    plot,
    probe,
    push,
    report,
    sweep,
    testbed,
    theory,
    train,
)
from rlsd_cli.commands import eval as evaluation
from rlsd_cli.errors import UserError
from rlsd_cli.runs import crash

STOPPED = 130  # exit code of what Ctrl-C ended: 128 + SIGINT


class Interruptible(TyperGroup):
    """A group of commands that says by its exit code that Ctrl-C ended it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("rlsd: stopped.", err=True)
            raise typer.Exit(STOPPED) from None


app = typer.Typer(
    name="rlsd",
    help="Compare self-distillation with RL for language models: train, evaluate, audit for leakage, plot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    cls=Interruptible,
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


RUN, MEASURE, SHOW, CHECK = "Run", "Measure", "Show", "Check"  # what people do, in this order

app.command("train", rich_help_panel=RUN)(train.train)
app.command("sweep", rich_help_panel=RUN)(sweep.sweep)
app.command("plan", rich_help_panel=RUN)(plan.plan)
app.command("import", rich_help_panel=MEASURE)(import_logs.import_logs)
app.command("probe", rich_help_panel=MEASURE)(probe.probe)
app.command("eval", rich_help_panel=MEASURE)(evaluation.evaluate)
app.command("leakage-audit", rich_help_panel=MEASURE)(leakage_audit.leakage_audit)
app.command("plot", rich_help_panel=SHOW)(plot.plot)
app.command("report", rich_help_panel=SHOW)(report.report)
app.command("arms", rich_help_panel=SHOW)(arms.arms)
app.command("push", rich_help_panel=SHOW)(push.push)
app.command("theory", rich_help_panel=CHECK)(theory.theory)
app.add_typer(testbed.app, name="testbed", rich_help_panel=CHECK)


def harmless(text: str) -> str:
    """Return ``text`` with control characters, which a terminal would obey, as escapes; keys of files have some."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in " ".join(text.splitlines()))


def main() -> None:
    """Run the command line; whatever goes wrong is one sentence on stderr and an exit code.

    2 says that a person can put it right, 1 that the fault is ours or a library's, 130 that Ctrl-C ended it.
    """
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        app()
    except UserError as error:
        if crash.debugging():
            traceback.print_exc()
        sentence, code = str(error), 2
    except BrokenPipeError:
        # `rlsd plot … | head` closes the pipe early: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        sentence, code = crash.report(error, command)
    else:
        return
    typer.echo(f"rlsd: {harmless(sentence)}", err=True)
    sys.exit(code)
