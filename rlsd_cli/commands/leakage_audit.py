"""`rlsd leakage-audit`: completions that mention a reference which they never saw."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from rlsd_cli.leakage.audit import Options
    from rlsd_cli.leakage.inputs import Columns, Source
    from rlsd_cli.leakage.rules import RuleSet

ABOVE, CHECK_FAILED = 3, 1  # exit codes beside 0 and 2
PIPED_WIDTH = 120  # columns where there is no terminal to ask


def leakage_audit(
    run_dir: Annotated[Path | None, typer.Argument(help="A run directory.")] = None,
    completions: Annotated[
        Path | None,
        typer.Option(help="A file or directory instead, or - for stdin: JSON, CSV, TSV, parquet; logs of TRL, verl …"),
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
        typer.Option(min=0, max=1, help="Exit with code 3 if the rate is above this, or text is missing."),
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
    rules: Annotated[
        Path | None, typer.Option(help="Your own phrase rules beside the built-in ones: a YAML file.")
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(help="The teacher's prompt, a text file with {reference} in it: its nouns become a rule."),
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Count a rule that stands apart (indirect_target) in the rate; repeatable.")
    ] = None,
    control: Annotated[
        Path | None, typer.Option(help="Completions that cannot leak (a base or GRPO run): the floor of the rate.")
    ] = None,
    positive_control: Annotated[
        str | None,
        typer.Option(metavar="N|PATH", help="The same model open-book: sample N questions (a run), or completions."),
    ] = None,
    label_sheet: Annotated[
        int | None, typer.Option(min=1, help="Write a blind sheet of so many completions for readers to label.")
    ] = None,
    labels: Annotated[
        list[Path] | None, typer.Option(help="The sheet filled in by a reader; repeatable, one per reader.")
    ] = None,
    exposure: Annotated[
        bool, typer.Option("--exposure", help="Score a run's decoys closed-book at each checkpoint, in bits.")
    ] = False,
    exposure_samples: Annotated[
        int, typer.Option(min=0, help="With --exposure: samples per question for the follow rate; 0: none.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> None:
    """Count completions that mention a reference, an answer key or a given answer which they never saw.

    Exit codes: 0; 1 if --self-check fails; 2 for wrong input; 3 if the rate is above --fail-above.
    """
    from rich.console import Console

    from rlsd_cli.leakage.inputs import Columns

    columns = Columns(column, prompt_column, answer_column, step_column)
    refuse_combinations(run_dir, completions, diff, score_rules, self_check, columns)
    if exposure and run_dir is None:
        raise UserError("--exposure needs a run directory: its checkpoints are scored.")
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    if score_rules:
        show_scores(console, score_rules, rules)
    elif diff:
        show_comparison(console, diff, columns, output_dir, as_json, rules)
    elif self_check:
        show_self_check(console, run_dir, completions, columns)
    elif exposure:
        assert run_dir is not None
        show_exposure(console, run_dir, exposure_samples, as_json)
    else:
        from rlsd_cli.leakage.audit import Options, audit
        from rlsd_cli.leakage.terminal import print_report

        source = source_of(run_dir, completions, columns)
        target = output_dir or source.output
        ruleset, nouns = ruleset_of(rules, template, run_dir)
        included = checked_rules(include or [], ruleset)
        options = Options(
            shown=shown,
            judge=judge,
            judge_limit=judge_limit,
            rules=ruleset,
            include=included,
            label_sheet=label_sheet,
        )
        calibration = calibrate(options, run_dir, source, columns, control, positive_control, nouns)
        if labels:
            from rlsd_cli.leakage.labels import read_back

            calibration["labels"] = read_back(labels, target)
        with Console(stderr=True).status("auditing …") as status:

            def told(count: int) -> None:
                status.update(f"auditing … {count:,} completions")

            report = audit(source, target, replace(options, calibration=calibration or None, progress=told))
        if as_json:
            typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
        else:
            print_report(console, report)
            sheet = ", label-sheet.csv" if label_sheet else ""
            typer.echo(f"written: {target}/report.json, hits.parquet, report.html{sheet}")
        if fail_above is not None and (reason := too_much(report, fail_above)):
            typer.echo(f"rlsd: {reason}.", err=True)
            raise typer.Exit(ABOVE)


def too_much(report: dict[str, Any], limit: float) -> str:
    """Say why a report fails --fail-above; '' where it does not."""
    from rlsd_cli.leakage.audit import missing_text

    if missing := missing_text(report):
        return f"text was expected and is not there: {missing}"
    return f"the leakage rate {report['rate']:.4f} is above {limit}" if report["rate"] > limit else ""


def ruleset_of(rules: Path | None, template: Path | None, run_dir: Path | None) -> tuple[RuleSet, list[str]]:
    """Return the rules for an input, and the nouns that one of them was made from.

    A run's own teacher prompt is its template.

    Raises:
        UserError: A file is not as it should be.
    """
    from rlsd_cli.leakage.rules import load_rules, own_rules, with_packs
    from rlsd_cli.leakage.template import run_nouns, template_nouns, template_pack

    packs = [own_rules(rules)] if rules else []
    nouns: list[str] = []
    if template is not None:
        if not template.is_file():
            raise UserError(f"{template} does not exist: give a text file with the teacher's prompt.")
        nouns = template_nouns(template.read_text("utf-8", errors="replace"))
        if not nouns:
            raise UserError(f"{template} does not name its reference: put {{reference}} where that stands.")
    elif run_dir is not None:
        nouns = run_nouns(run_dir)
    if nouns:
        packs.append(template_pack(nouns))
    return (with_packs(packs) if packs else load_rules()), nouns


def checked_rules(names: list[str], rules: RuleSet) -> tuple[str, ...]:
    """Return the names of rules apart from the rate that are to be in it.

    Raises:
        UserError: There is no such rule.
    """
    apart = [name for name, rule in rules.families.items() if rule.apart]
    for name in names:
        if name not in apart:
            raise UserError(f"--include {name}: the rules apart from the rate are {', '.join(apart)}.")
    return tuple(names)


def calibrate(
    options: Options,
    run_dir: Path | None,
    source: Source,
    columns: Columns,
    control: Path | None,
    positive: str | None,
    nouns: list[str],
) -> dict[str, Any]:
    """Return what the controls say: ``control`` and ``positive_control``, each if asked for.

    Raises:
        UserError: A control can't be read, or a number of questions is given without a run.
    """
    from rlsd_cli.leakage import calibrate as controls

    found: dict[str, Any] = {}
    if control is not None:
        found["control"] = controls.control(either_source(control, columns), options)
    if positive is None:
        return found
    if positive.isdigit():
        if run_dir is None:
            raise UserError("--positive-control with a number samples a run: give a run directory, or completions.")
        from rlsd_cli.evaluation.open_book import open_book

        opened, nouns = open_book(run_dir, int(positive))
    else:
        opened = controls.first_completions(either_source(Path(positive), columns), sys.maxsize)
    closed = controls.first_completions(source)
    found["positive_control"] = controls.positive_control(opened, closed, options.rules, nouns)
    return found


def show_exposure(console: Console, run_dir: Path, samples: int, as_json: bool) -> None:
    """Score a run's decoys, print them by step, and draw them."""
    from rich.console import Console

    from rlsd_cli.evaluation.exposure import expose
    from rlsd_cli.leakage.terminal import print_exposure

    with Console(stderr=True).status("loading …") as status:
        result = expose(run_dir, samples=samples, told=status.update)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
    else:
        print_exposure(console, result)
        typer.echo(f"written: {run_dir}/leakage/exposure.json, exposure.parquet, exposure.svg")


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


def show_scores(console: Console, paths: list[Path], rules: Path | None) -> None:
    """Print precision and recall on labelled passages."""
    from rlsd_cli.leakage.score import read_passages, score_rules
    from rlsd_cli.leakage.terminal import print_scores

    passages = [passage for path in paths for passage in read_passages(path)]
    print_scores(
        console, ", ".join(path.name for path in paths), score_rules(passages, ruleset_of(rules, None, None)[0])
    )


def show_comparison(
    console: Console,
    paths: tuple[Path, Path],
    columns: Columns,
    output: Path | None,
    as_json: bool,
    rules: Path | None,
) -> None:
    """Audit two inputs, print how they differ, and write diff.json if there is a place for it."""
    from tempfile import TemporaryDirectory

    from rlsd_cli.leakage.audit import Options, audit
    from rlsd_cli.leakage.compare import compare
    from rlsd_cli.leakage.terminal import print_comparison
    from rlsd_cli.runs.directory import jsonable, write_json

    sources = [either_source(path, columns) for path in paths]
    options = Options(shown=0, rules=ruleset_of(rules, None, None)[0])
    reports = []
    for source in sources:
        with TemporaryDirectory() as directory:
            reports.append(audit(source, Path(directory), options))
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
