"""`rlsd import`: a run directory from another tool's logs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rlsd_cli.errors import UserError

COLUMNS = "What the columns are called"


class Tool(StrEnum):
    """Who has trained."""

    TRL = "trl"
    VERL = "verl"
    MS_SWIFT = "ms-swift"
    OPENRLHF = "openrlhf"
    CSV = "csv"


def import_logs(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the tool has put one run's logs.")],
    tool: Annotated[Tool, typer.Option("--from", help="The tool that trained; csv: tables of any kind.")],
    output_dir: Annotated[
        Path | None, typer.Option(help="The new run directory. Default: runs/imported/LABEL/seed-N.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="The arm that it is, such as grpo: claims about it are judged then. Default: the tool."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Its name in figures. Default: the method.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Runs of one label are its seeds.")] = 0,
    completions: Annotated[Path | None, typer.Option(help="The completions, where they lie elsewhere.")] = None,
    evaluations: Annotated[
        Path | None, typer.Option(help="Completions on held-out questions, where they lie elsewhere.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(metavar="THEIRS=OURS", help="A metric, such as score=reward; repeatable.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Of the completions.", rich_help_panel=COLUMNS)] = None,
    prompt_column: Annotated[str | None, typer.Option(help="Of the prompts.", rich_help_panel=COLUMNS)] = None,
    answer_column: Annotated[str | None, typer.Option(help="Of the answers.", rich_help_panel=COLUMNS)] = None,
    step_column: Annotated[str | None, typer.Option(help="Of the training steps.", rich_help_panel=COLUMNS)] = None,
    reward_column: Annotated[
        list[str] | None, typer.Option(help="Of the rewards; repeatable, then added.", rich_help_panel=COLUMNS)
    ] = None,
    correct_column: Annotated[
        str | None, typer.Option(help="Of the verdicts, true or above 0.5.", rich_help_panel=COLUMNS)
    ] = None,
) -> None:
    """Make a run directory of another tool's logs, for the audit, figures and reports.

    What the log lacks is said, and noted in provenance.json.

    Examples:
      rlsd import --from trl outputs/grpo --method grpo --seed 1
      rlsd import --from verl logs --completions rollouts --evaluations validation
      rlsd import --from csv tables --rename score=reward --step-column iteration
    """
    from rlsd_cli.foreign.rows import Beside
    from rlsd_cli.foreign.tools import Given, read_log
    from rlsd_cli.foreign.write import Identity, make_run
    from rlsd_cli.leakage.inputs import Columns

    arm = method or tool.value
    name = label or arm
    for text, option in ((arm, "--method"), (name, "--label")):
        if not text.isprintable() or not text or text.startswith(".") or set(text) & set("/\\") or len(text) > 100:
            raise UserError(
                f"{option} names a directory: at most 100 characters, no slash or control character, "
                "no dot at its start."
            )
    output = output_dir or Path("runs/imported") / name / f"seed-{seed}"
    beside = Beside(
        Columns(column, prompt_column, answer_column, step_column), tuple(reward_column or ()), correct_column
    )
    given = Given(directory, completions, evaluations, beside, dict(map(pair, rename or [])))
    made = make_run(read_log(tool.value, given), Identity(tool.value, arm, name, seed), output)
    typer.echo(made.run.path)
    typer.echo(f"holds {'; '.join(made.holds)}", err=True)
    typer.echo(f"lacks {'; '.join(made.lacks)}", err=True)


def pair(text: str) -> tuple[str, str]:
    """Split ``theirs=ours``.

    Raises:
        UserError: There is no '=', or nothing beside it.
    """
    theirs, _, ours = text.partition("=")
    if not theirs or not ours:
        raise UserError(f"--rename takes THEIRS=OURS, for example score=reward; got '{text}'.")
    return theirs, ours
