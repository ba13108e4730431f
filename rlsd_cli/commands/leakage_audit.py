"""`rlsd leakage-audit`: completions that mention a reference which they never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from rlsd_cli.leakage.inputs import Columns, Source

ABOVE, CHECK_FAILED = 3, 1  # exit codes beside 0 and 2
PIPED_WIDTH = 120  # columns where there is no terminal to ask


def leakage_audit(
    run_dir: Annotated[Path | None, typer.Argument(help="A run directory.")] = None,
    completions: Annotated[
        Path | None,
        typer.Option(help="A file or directory instead: JSON lines, parquet, CSV; logs of TRL, verl and lm-eval."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of the completions. Default: recognised.")] = None,
    prompt_column: Annotated[str | None, typer.Option(help="Column of the prompts. Default: recognised.")] = None,
    answer_column: Annotated[str | None, typer.Option(help="Column of the gold answers. Default: recognised.")] = None,
    step_column: Annotated[str | None, typer.Option(help="Column of the training steps. Default: recognised.")] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where the reports go. Default: RUN_DIR/leakage, or leakage-audit/ beside it.")
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Exit with code 3 if the rate is above this (0.01: one per cent)."),
    ] = None,
    diff: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="A B", help="Compare two runs (or files of completions).")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="A causal language model for a second opinion: a directory or a hub id.")
    ] = None,
    judge_limit: Annotated[int, typer.Option(min=1, help="Completions that the judge reads, of either kind.")] = 200,
    shown: Annotated[int, typer.Option(min=0, help="Completions with hits on the HTML page, at most.")] = 1000,
    self_check: Annotated[
        bool,
        typer.Option("--self-check", help="Plant mentions at known rates into clean completions and recover them."),
    ] = False,
    score_rules: Annotated[
        list[Path] | None, typer.Option(help="Labelled passages: print precision and recall per rule; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> None:
    """Count completions that mention a reference, an answer key or a given answer which they never saw.

    Exit codes: 0; 1 if --self-check fails; 2 for wrong input; 3 if the rate is above --fail-above.
    """
    from rich.console import Console

    from rlsd_cli.leakage.inputs import Columns

    columns = Columns(column, prompt_column, answer_column, step_column)
    refuse_combinations(run_dir, completions, diff, score_rules, self_check, columns)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    if score_rules:
        show_scores(console, score_rules)
    elif diff:
        show_comparison(console, diff, columns, output_dir, as_json)
    elif self_check:
        show_self_check(console, run_dir, completions, columns)
    else:
        from rlsd_cli.leakage.audit import Options, audit
        from rlsd_cli.leakage.terminal import print_report

        source = source_of(run_dir, completions, columns)
        target = output_dir or source.output
        talk = Console(stderr=True)
        with talk.status("auditing …") as status:

            def told(count: int) -> None:
                status.update(f"auditing … {count:,} completions")

            report = audit(source, target, Options(shown=shown, judge=judge, judge_limit=judge_limit, progress=told))
        if as_json:
            typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
        else:
            print_report(console, report)
            typer.echo(f"written: {target}/report.json, hits.parquet, report.html")
        if fail_above is not None and report["rate"] > fail_above:
            typer.echo(f"rlsd: the leakage rate {report['rate']:.4f} is above {fail_above}.", err=True)
            raise typer.Exit(ABOVE)


def refuse_combinations(
    run_dir: Path | None,
    completions: Path | None,
    diff: tuple[Path, Path] | None,
    score_rules: list[Path] | None,
    self_check: bool,
    columns: Columns,
) -> None:
    """Refuse arguments that do not go together.

    Raises:
        UserError: There is nothing to do, or too much at a time.
    """
    inputs = sum(value is not None for value in (run_dir, completions))
    tasks = sum((bool(diff), bool(score_rules), self_check))
    if inputs + tasks == 0:
        raise UserError("give a run directory, or --completions, --diff, --self-check or --score-rules.")
    if inputs > 1:
        raise UserError("give either a run directory or --completions.")
    if tasks > 1 or (inputs and (diff or score_rules)):
        raise UserError("--diff, --score-rules and --self-check each stand alone (--self-check may have an input).")
    if any(vars(columns).values()) and completions is None and not diff:
        raise UserError("columns can be named for --completions and --diff only: a run directory has its own.")


def source_of(run_dir: Path | None, completions: Path | None, columns: Columns) -> Source:
    """Return what is to be audited."""
    from rlsd_cli.leakage.inputs import completions_source, run_source

    if run_dir is not None:
        return run_source(run_dir)
    assert completions is not None
    return completions_source(completions, columns)


def either_source(path: Path, columns: Columns) -> Source:
    """Return the completions of a run directory, or of a file or directory of completions."""
    is_run = (path / "status.json").is_file()
    return source_of(path, None, columns) if is_run else source_of(None, path, columns)


def show_scores(console: Console, paths: list[Path]) -> None:
    """Print precision and recall on labelled passages."""
    from rlsd_cli.leakage.score import read_passages, score_rules
    from rlsd_cli.leakage.terminal import print_scores

    passages = [passage for path in paths for passage in read_passages(path)]
    print_scores(console, ", ".join(path.name for path in paths), score_rules(passages))


def show_comparison(
    console: Console, paths: tuple[Path, Path], columns: Columns, output: Path | None, as_json: bool
) -> None:
    """Audit two inputs, print how they differ, and write diff.json if there is a place for it."""
    from tempfile import TemporaryDirectory

    from rlsd_cli.leakage.audit import Options, audit
    from rlsd_cli.leakage.compare import compare
    from rlsd_cli.leakage.terminal import print_comparison
    from rlsd_cli.runs.directory import jsonable, write_json

    sources = [either_source(path, columns) for path in paths]
    reports = []
    for source in sources:
        with TemporaryDirectory() as directory:
            reports.append(audit(source, Path(directory), Options(shown=0)))
    result = compare(*reports)
    if output:
        write_json(output / "diff.json", result)
    if as_json:
        typer.echo(json.dumps(jsonable(result), indent=1, ensure_ascii=False))
    else:
        print_comparison(console, result)


def show_self_check(console: Console, run_dir: Path | None, completions: Path | None, columns: Columns) -> None:
    """Print planted and recovered rates; leave with code 1 if one was not recovered."""
    from rlsd_cli.leakage.selfcheck import self_check
    from rlsd_cli.leakage.terminal import print_recoveries

    source = None if run_dir is None and completions is None else source_of(run_dir, completions, columns)
    recoveries = self_check(source)
    print_recoveries(console, recoveries)
    if not all(recovery.passed for recovery in recoveries):
        raise typer.Exit(CHECK_FAILED)
