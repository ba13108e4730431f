"""`rlsd eval`: accuracy on held-out suites and benchmarks, and paired comparisons of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rlsd_cli.errors import UserError
from rlsd_cli.generation.engine import EngineName

if TYPE_CHECKING:
    import pandas as pd

    from rlsd_cli.evaluation.benchmarks.evaluate import Request, Unanswerable

BENCHMARKS = "Benchmarks"
SAMPLING = "Sampling"
ENGINE = "Engine"
BATCH = {True: 8, False: 200}  # completions at a time: of benchmarks, of a task's suites


def chosen_run(
    run_dir: Path | None,
    model: str | None,
    output_dir: Path | None,
    config: Path | None,
    assignments: list[str],
    dtype: str | None,
    only_benchmarks: bool,
) -> Path:
    """Return the run directory to evaluate; for an untrained model it is made.

    Raises:
        UserError: Neither or both are given, or the directory can't be used.
    """
    from rlsd_cli.runs.directory import RunDir

    if model is None:
        if run_dir is None or output_dir is not None or config is not None or assignments:
            raise UserError("give a run directory, or --model with --output-dir for an untrained model.")
        return RunDir.open(run_dir).path
    if run_dir is not None or output_dir is None:
        raise UserError("--model takes --output-dir and no run directory.")
    from rlsd_cli.config.assignments import parse_assignment
    from rlsd_cli.config.layers import merge, read_yaml, validated
    from rlsd_cli.config.run import TaskConfig
    from rlsd_cli.evaluation.run import base_run

    changes = merge(*(parse_assignment(text) for text in assignments))
    if set(changes) - {"task"}:
        raise UserError("of an untrained model, --set changes only the task, for example task.operations=3.")
    section = merge((read_yaml(config).get("task") or {}) if config else {}, changes.get("task", {}))
    task = validated(TaskConfig, section, str(config or "--set"), "task.")
    return base_run(output_dir, model, None if only_benchmarks and not section else task, dtype).path


def requests(
    names: list[str],
    data: list[str],
    split: str | None,
    instruction: str | None,
    max_pixels: int | None,
    unanswerable: Unanswerable = "keep",
) -> list[Request]:
    """Return the benchmarks that are asked for.

    Raises:
        UserError: A name is unknown, a flag has no benchmark, or the copies are not one for each.
    """
    from rlsd_cli.evaluation.benchmarks.evaluate import Request
    from rlsd_cli.evaluation.benchmarks.suites import find

    for name in names:
        find(name)
    if not names:
        if data or split or instruction is not None or max_pixels or unanswerable != "keep":
            raise UserError(
                "--data, --split, --instruction, --max-pixels and --unanswerable are for benchmarks: give --benchmark."
            )
        return []
    if data and len(data) != len(names):
        raise UserError(f"--data gives {len(data)} copies and --benchmark {len(names)} names: give one for each.")
    sources: list[str | None] = [*data] if data else [None] * len(names)
    return [
        Request(name, source, split, instruction, max_pixels, unanswerable)
        for name, source in zip(names, sources, strict=True)
    ]


def chat_variables(texts: list[str] | None) -> dict[str, Any] | None:
    """Return ``["enable_thinking=false"]`` as a mapping; None where none are given.

    Raises:
        UserError: One is no NAME=VALUE.
    """
    from rlsd_cli.config.assignments import parse_assignment
    from rlsd_cli.config.layers import merge

    for text in texts or []:
        if not text.partition("=")[0].isidentifier() or "=" not in text:
            raise UserError(f"--chat takes NAME=VALUE, for example enable_thinking=false; got '{text[:100]}'.")
    return merge(*(parse_assignment(text) for text in texts)) if texts else None


def measure_planted(run_dir: Path, n: int) -> None:
    """Write credit/planted.json of a run and say the rates."""
    from rich.console import Console

    from rlsd_cli.evaluation.blame import ERRORS, blame_file, placements
    from rlsd_cli.runs.directory import RunDir

    run = RunDir.open(run_dir)
    with Console(stderr=True).status("scoring derivations with a planted wrong step …"):
        from rlsd_cli.evaluation.planted import measure_run
        from rlsd_cli.models.libraries import quiet_libraries

        quiet_libraries(1)
        measure_run(run, n)
    for errors in ERRORS:
        for reference, placement in placements(run, errors).items():
            typer.echo(placement.sentence(reference, errors))
    if not placements(run, "own"):
        typer.echo("Own wrong rollouts: not measured, the model made none that ends within its budget.")
    typer.echo(blame_file(run))


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
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.SUB=VALUE", help="With --model: a value of the task; repeatable."),
    ] = None,
    suite: Annotated[
        list[str] | None, typer.Option(help="A suite of the task; repeatable. Default: all, none with --benchmark.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Sampled completions per question (k of avg@k). Default: the benchmark's own, or 4."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Of the sampled completions. Default: the benchmark's own, or 1; so are the next four.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            help="The most probable tokens that together have this probability. 1: all.", rich_help_panel=SAMPLING
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=0, help="So many of the most probable tokens. 0: all.", rich_help_panel=SAMPLING)
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Tokens with at least this share of the most probable one's probability. 0: all.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    presence_penalty: Annotated[
        float | None,
        typer.Option(
            min=-2.0,
            max=2.0,
            help="Taken off the logits of tokens that the completion already holds, greedy ones too.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    chat: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A variable of the chat template, such as enable_thinking=false; repeatable. Default: the run's.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    step: Annotated[int | None, typer.Option(min=1, help="A checkpoint's step. Default: the final model.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions of a suite.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampling.", rich_help_panel=SAMPLING)] = 0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Budget of a completion. Default: the task's; 4096 for benchmarks.")
    ] = None,
    planted: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Instead: where the run's model puts RLSD's blame in N derivations with one planted wrong step.",
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="Another run: generate nothing, give the paired differences of what both are evaluated on."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON on stdout.")] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Print some verdicts of each suite with the answer, the gold and the rule.")
    ] = False,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            help="Its name (docs/benchmarks.md), such as mmmu or gsm8k, or one of your own: a YAML file, or "
            "package.module:NAME; repeatable.",
            rich_help_panel=BENCHMARKS,
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Its local copy (a file or a directory), or another hub id; once per --benchmark. "
            "Default: from the hub.",
            rich_help_panel=BENCHMARKS,
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Another split than the one with public answers.", rich_help_panel=BENCHMARKS)
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(
            help="The end of every prompt, such as the one of the training. Default: the benchmark's own.",
            rich_help_panel=BENCHMARKS,
        ),
    ] = None,
    unanswerable: Annotated[
        Literal["keep", "drop", "refuse"],
        typer.Option(
            help="Questions whose answer is none of their options: named and wrong, left out, or refused.",
            rich_help_panel=BENCHMARKS,
        ),
    ] = "keep",
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Larger images are scaled down.", rich_help_panel=BENCHMARKS)
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="What samples.", rich_help_panel=ENGINE)] = "transformers",
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Completions at a time. Default: 200, 8 for benchmarks; vLLM decides itself.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="Of the weights. Default: the run's.", rich_help_panel=ENGINE),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="vLLM: GPUs that share the model.", rich_help_panel=ENGINE)] = 1,
    context: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="vLLM: longest prompt and completion together, in tokens. Default: the model's.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="CPU threads. Default: torch's choice.", rich_help_panel=ENGINE)
    ] = None,
) -> None:
    """Evaluate a run on its held-out suites or on benchmarks, greedy and sampled, with 95 % intervals.

    Examples:
      rlsd eval runs/micro/rlsd/seed-0 --samples 4
      rlsd eval runs/vl/rlsd/seed-0 --benchmark wemath --data copies/We-Math --engine vllm
      rlsd eval --model micro-base --output-dir runs/micro/base/seed-0
      rlsd eval runs/micro/rlsd/seed-0 --compare runs/micro/grpo/seed-0
      rlsd eval runs/micro/rlsd/seed-0 --planted 400
    """
    from rlsd_cli.commands import eval_output

    if compare is not None:
        from rlsd_cli.evaluation.compare import compare_runs

        if run_dir is None or model is not None:
            raise UserError("--compare takes two run directories: rlsd eval RUN --compare OTHER.")
        from rlsd_cli.evaluation.benchmarks.suites import find

        named = [find(name).name if ":" in name else name for name in benchmark or []]
        found, notes = compare_runs(run_dir, compare, (suite or []) + named)
        eval_output.comparison(found, notes, f"{run_dir} minus {compare}", as_json)
        return
    from rich.console import Console

    if planted is not None:
        if run_dir is None or model is not None or benchmark or suite:
            raise UserError("--planted takes a run directory and asks no suites: rlsd eval RUN --planted N.")
        measure_planted(run_dir, planted)
        return
    asked = requests(benchmark or [], data or [], split, instruction, max_pixels, unanswerable)
    if engine == "vllm":
        from rlsd_cli.generation.vllm_engine import require_vllm

        require_vllm()
    from rlsd_cli.evaluation.settings import EvalOptions

    wanted = {
        "samples": samples,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "min_p": min_p,
        "presence_penalty": presence_penalty,
    }
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    options = EvalOptions(
        **given,
        seed=seed,
        limit=limit,
        batch_size=batch_size or BATCH[bool(asked)],
        engine=engine,
        dtype=dtype,
        gpus=gpus,
        context=context,
        max_new_tokens=max_tokens,
    )
    variables = chat_variables(chat)
    # Mistakes are told before torch is loaded.
    run_dir = chosen_run(run_dir, model, output_dir, config, assignments or [], dtype, bool(asked) and not suite)
    from rlsd_cli.evaluation.benchmarks.evaluate import load
    from rlsd_cli.evaluation.run import evaluate_run
    from rlsd_cli.models.libraries import quiet_libraries

    quiet_libraries(threads)
    rows: list[pd.DataFrame] = []
    with Console(stderr=True).status("evaluating …") as status:

        def told(summary: dict[str, Any]) -> None:
            status.update(f"evaluating … {summary['suite']} done")

        benchmarks = [load(request, limit) for request in asked]
        for each in benchmarks:
            if each.remark:
                typer.echo(each.remark, err=True)
        summaries = evaluate_run(run_dir, options, suite or [], step, told, benchmarks, given, rows.append, variables)
    eval_output.summaries(summaries, str(run_dir), as_json)
    if why:
        eval_output.reasons(rows, as_json)
