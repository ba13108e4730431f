"""Evaluation on suites of questions: greedy and sampled accuracy with intervals, one file pair per suite."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.config.run import BASE
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation import results, versions
from rlsd_cli.evaluation.chunks import Parts
from rlsd_cli.evaluation.questions import prompts_digest, questions_digest
from rlsd_cli.evaluation.results import GREEDY
from rlsd_cli.evaluation.settings import EvalOptions, digest, folder_name
from rlsd_cli.generation.engine import Engine, EngineOptions
from rlsd_cli.leakage.detect import leaks
from rlsd_cli.runs.crash import CRASH_FILE, remember_run
from rlsd_cli.runs.directory import RunDir, write_json, write_text
from rlsd_cli.statistics.intervals import clustered_interval, wilson_interval
from rlsd_cli.tasks.base import Example, Task
from rlsd_cli.tasks.messages import as_text
from rlsd_cli.verifiers.load import judge_all
from rlsd_cli.verifiers.reasoning import opening_before
from rlsd_cli.verifiers.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from rlsd_cli.config.run import TaskConfig

CHUNK_SEED = 1_000_003  # between the seeds of two chunks, so that seeds 0, 1, 2 … share no draws


@dataclass(frozen=True)
class Suite:
    """Questions that are evaluated together, and how an answer is judged.

    ``chunk``: so many questions are finished, then stored; the whole suite at once where None.
    ``describe`` adds to the summary, from the rows; ``keep`` adds columns to the rows, from the question.
    ``defaults`` are options that hold where the user chose none.
    ``verifier`` is the version of ``judge``; ``settings`` are further ones of the summary, and ``asked`` those of
    them that the user chose. ``remark`` is what the user is to know before anything is sampled.
    """

    name: str
    examples: list[Example]
    judge: Callable[[str, Example], Verdict]
    max_new_tokens: int
    chunk: int | None = None
    keep: Callable[[Example], dict[str, Any]] = lambda example: {}
    describe: Callable[[pd.DataFrame], dict[str, Any]] = lambda frame: {}
    defaults: Mapping[str, Any] = field(default_factory=dict)
    verifier: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


def judged_rows(
    engine: Engine, suite: Suite, examples: list[Example], options: EvalOptions, greedy: bool, seed: int
) -> list[dict[str, Any]]:
    """Sample and judge completions; one row per completion, questions in order."""
    completions = engine.complete(
        [example.prompt for example in examples],
        samples=1 if greedy else options.samples,
        max_new_tokens=options.max_new_tokens or suite.max_new_tokens,
        sampling=options.sampling,
        greedy=greedy,
        seed=seed,
    )
    drawn = [
        (example, index, completion)
        for example, group in zip(examples, completions, strict=True)
        for index, completion in enumerate(group)
    ]
    opening = getattr(engine, "opening", "")
    said = [(opening_before(example.prompt, opening) + each.text, example) for example, _, each in drawn]
    return [
        {
            "prompt_id": example.id,
            "sample_id": GREEDY if greedy else index,
            "prompt": as_text(example.prompt),
            "completion": completion.text,
            "answer": example.answer,
            "extracted": verdict.extracted,
            "correct": verdict.correct,
            "why": verdict.why,
            "length": completion.length,
            "truncated": completion.truncated,
            **suite.keep(example),
        }
        for (example, index, completion), verdict in zip(drawn, judge_all(suite.judge, said), strict=True)
    ]


def evaluate_suite(engine: Engine, suite: Suite, options: EvalOptions, parts: Parts | None = None) -> pd.DataFrame:
    """Return every completion of a suite: a greedy one and ``options.samples`` sampled ones per question.

    With ``parts``, finished chunks of questions are taken from there and put there. The draws of a chunk
    hang on its place only, so an evaluation that was interrupted ends as one that was not.
    """
    import pandas as pd

    size = suite.chunk or len(suite.examples)
    frames = []
    for number, start in enumerate(range(0, len(suite.examples), size)):
        frame = parts.read(number) if parts else None
        if frame is None:
            examples, seed = suite.examples[start : start + size], options.seed + CHUNK_SEED * number
            rows = judged_rows(engine, suite, examples, options, True, seed)
            frame = pd.DataFrame(rows + judged_rows(engine, suite, examples, options, False, seed))
            if parts:
                parts.write(number, frame)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True).assign(suite=suite.name)


def settings_of(
    engine: Engine, suite: Suite, options: EvalOptions, dtype: str, variables: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return every setting that changes a completion or a verdict (docs/run-directory.md).

    Args:
        engine: What samples.
        suite: What is asked.
        options: How.
        dtype: Of the run's weights, where ``options`` names no other.
        variables: Of the chat template.
    """
    chats = any(not isinstance(example.prompt, str) for example in suite.examples)
    return {
        **asdict(options),
        "dtype": options.dtype or dtype,
        "max_new_tokens": options.max_new_tokens or suite.max_new_tokens,
        "max_new_tokens_from": "option" if options.max_new_tokens else "suite",
        "questions": questions_digest(suite.examples),
        "prompts": prompts_digest(suite.examples),
        "template": digest([engine.template, variables] if variables else engine.template) if chats else None,
        "verifier": suite.verifier,
        **suite.settings,
    }


def summarise(frame: pd.DataFrame, settings: Mapping[str, Any], step: int) -> dict[str, Any]:
    """Return the summary of a suite's completions (docs/run-directory.md, ``eval/<suite>.json``).

    The greedy interval is Wilson's; avg@k's has the question as the unit, because the
    samples of one question are not independent.

    Args:
        frame: A row per completion.
        settings: What it was made with.
        step: Of the model.
    """
    greedy = frame[frame["sample_id"] == GREEDY]
    sampled = frame[frame["sample_id"] != GREEDY]
    wilson = wilson_interval(int(greedy["correct"].sum()), len(greedy))
    average = clustered_interval(sampled["correct"].astype(float), sampled["prompt_id"])
    mentions = [leaks(text, prompt) for text, prompt in zip(sampled["completion"], sampled["prompt"], strict=True)]
    return {
        "suite": str(frame["suite"].iloc[0]),
        "checkpoint_step": step,
        "n_questions": len(greedy),
        **settings,
        "greedy_accuracy": wilson.mean,
        "greedy_interval": wilson.ends,
        "avg_at_k": average.mean,
        "avg_at_k_interval": average.ends,
        "leakage_rate": sum(mentions) / len(mentions),
        "mean_length": float(sampled["length"].mean()),
    }


def choose_suites(
    available: dict[str, list[Example]], chosen: list[str], limit: int | None
) -> dict[str, list[Example]]:
    """Return the wanted suites, cut to ``limit`` questions.

    Raises:
        UserError: A suite is unknown.
    """
    from rlsd_cli.config.layers import nearest

    for name in chosen:
        if name not in available:
            raise UserError(f"there is no suite '{name}'{nearest(name, available)}; suites: {', '.join(available)}.")
    names = chosen or list(available)
    return {name: available[name][:limit] for name in names}


def task_suites(task: Task, chosen: list[str], limit: int | None) -> list[Suite]:
    """Return a task's held-out suites.

    Raises:
        UserError: A suite is unknown.
    """
    everything = task.suites()
    return [
        Suite(
            name,
            examples,
            lambda text, example: task.verify(text, example.answer, example.id),
            task.max_completion_tokens,
            verifier=versions.of_task(task),
            settings={"task_suites": sorted(everything)},
        )
        for name, examples in choose_suites(everything, chosen, limit).items()
    ]


def base_run(path: Path, model: str, task: TaskConfig | None, dtype: str | None = None) -> RunDir:
    """Make, or open again, the directory of an untrained model, so that it stands beside the trained ones.

    Args:
        path: The directory.
        model: A name, directory or hub id.
        task: Whose suites are asked; None where only benchmarks are.
        dtype: Of the weights; float32 where None.

    Raises:
        UserError: The directory holds something else.
    """
    import yaml

    from rlsd_cli.runs.provenance import attempt

    wanted: dict[str, Any] = {"method": BASE, "seed": 0}
    wanted |= {"task": task.model_dump()} if task else {}
    wanted["model"] = {"path": model} | ({"dtype": dtype} if dtype else {})
    run_dir = RunDir(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: give a directory with --output-dir.")
    # One that was killed, or whose model could not be loaded, holds no more than these: it is made anew.
    unfinished = {run_dir.config_file.name, run_dir.provenance_file.name, run_dir.status_file.name, CRASH_FILE}
    if path.is_dir() and not {child.name for child in path.iterdir()} <= unfinished:
        run_dir = RunDir.open(path)
        # Benchmarks are asked of a model whatever its task is.
        if {key: value for key, value in run_dir.config().items() if task or key != "task"} != wanted:
            raise UserError(f"{path} holds another model or task: give another --output-dir.")
        return run_dir
    write_text(run_dir.config_file, yaml.safe_dump(wanted, sort_keys=False))
    write_json(run_dir.provenance_file, {"schema_version": 1, "seed": 0, "attempts": [attempt()]})
    run_dir.write_status(state="running", step=0, steps=0)
    return run_dir


def find_model(run_dir: RunDir, step: int | None) -> tuple[int, str]:
    """Return (step, directory) of the model to evaluate: the final one, or a checkpoint.

    Raises:
        UserError: The run has no such model.
    """
    from rlsd_cli.runs.checkpoints import checkpoints, is_complete

    saved = {found: path for found, path in checkpoints(run_dir.checkpoints_dir) if is_complete(path)}
    if step is not None:
        if step not in saved:
            steps = ", ".join(str(found) for found in saved) or "none"
            raise UserError(f"{run_dir.path} has no whole checkpoint of step {step}; it has: {steps}.")
        return step, str(saved[step])
    if run_dir.config().get("method") == BASE:
        return 0, str(run_dir.config()["model"]["path"])
    if any((run_dir.model_dir / name).is_file() for name in ("config.json", "adapter_config.json")):
        return int(run_dir.status().get("step", 0)), str(run_dir.model_dir)
    if not saved:
        raise UserError(f"{run_dir.path} has no model yet: let the training end, or reach its first checkpoint.")
    newest = max(saved)
    return newest, str(saved[newest])


def check_images(source: str, suites: Sequence[Suite]) -> None:
    """Check that a model can read the shape of every image, before anything is sampled.

    Raises:
        UserError: It can't; the first such question is named.
    """
    from rlsd_cli.models.load import load_tokenizer
    from rlsd_cli.models.processors import takes_images
    from rlsd_cli.models.shapes import Shapes

    shown = [(suite, example) for suite in suites for example in suite.examples if example.images]
    processing = load_tokenizer(source) if shown else None
    if processing is None or not takes_images(processing):  # a model of texts is refused when it is loaded
        return
    shapes = Shapes(processing.image_processor)
    for suite, example in shown:
        place = f"row {example.meta['row']}, " if "row" in example.meta else ""
        shapes.check((image.size for image in example.images), f"{place}question '{example.id}' of {suite.name},")


def load_engine(
    source: str,
    options: EvalOptions,
    dtype: str,
    suites: Sequence[Suite],
    variables: Mapping[str, Any] | None = None,
) -> Engine:
    """Return the engine of ``options`` with a model.

    Raises:
        UserError: The engine is not installed, or can't load the model.
    """
    how = EngineOptions(options.engine, options.dtype or dtype, options.batch_size, options.gpus, options.context)
    how = replace(how, variables=dict(variables or {}))
    if options.engine == "vllm":
        from rlsd_cli.generation.vllm_engine import VllmEngine, most_images

        return VllmEngine(source, how, most_images([example.prompt for suite in suites for example in suite.examples]))
    from rlsd_cli.generation.transformers_engine import TransformersEngine

    return TransformersEngine(source, how)


def evaluate_run(
    path: Any,
    options: EvalOptions,
    suites: list[str],
    step: int | None = None,
    on_suite: Callable[[dict[str, Any]], None] = lambda summary: None,
    benchmarks: Sequence[Suite] = (),
    chosen: Collection[str] | None = None,
    on_rows: Callable[[pd.DataFrame], None] = lambda frame: None,
    variables: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Evaluate a run's model and write eval/…/<suite>.json and .parquet (`results.write`).

    Args:
        path: The run directory.
        options: Samples, temperature, seed, limit, engine.
        suites: Names of the task's held-out suites; all if empty, none if empty and there are benchmarks.
        step: A checkpoint's step; the final model (or the newest checkpoint) if None.
        on_suite: Called with each summary as it is written.
        benchmarks: Further suites, already loaded.
        chosen: Names of the options that the user chose; a suite's own defaults stand in for the others. All if None.
        on_rows: Called with each suite's rows.
        variables: Of the chat template, such as ``enable_thinking``; the run's own where None.

    Raises:
        UserError: The directory is no run, or lacks the model or suite.
    """
    from rlsd_cli.config.run import RunConfig
    from rlsd_cli.tasks.load import load_task

    run_dir = RunDir.open(path)
    remember_run(run_dir.path)
    config = RunConfig.model_validate(run_dir.config())
    asked = list(benchmarks)
    if suites or not asked:
        if "task" not in run_dir.config():
            raise UserError(f"{run_dir.path} was made for benchmarks and has no task: give --benchmark.")
        asked += task_suites(load_task(config.task), suites, options.limit)
    model_step, directory = find_model(run_dir, step)
    check_images(directory, asked)
    shown = config.model.chat_template_kwargs if variables is None else variables
    engine = load_engine(directory, options, config.model.dtype, asked, shown)
    final = config.method == BASE or Path(directory) == run_dir.model_dir
    summaries = []
    for suite in asked:
        defaults = EvalOptions(**({} if chosen is None else suite.defaults))
        own = replace(options, **{k: v for k, v in suite.defaults.items() if chosen is not None and k not in chosen})
        settings = settings_of(engine, suite, own, config.model.dtype, shown)
        settings["model"] = directory if config.method == BASE else Path(directory).name
        asked_for = {**suite.asked, **({} if variables is None else {"chat": json.dumps(shown, sort_keys=True)})}
        folder = folder_name(own, None if final else model_step, asked_for, defaults)
        key = {**settings, "checkpoint_step": model_step}
        parts = Parts.open(run_dir.eval_dir / folder, suite.name, suite.chunk, key) if suite.chunk else None
        frame = evaluate_suite(engine, suite, own, parts)
        summary = summarise(frame, settings, model_step) | suite.describe(frame)
        results.write(run_dir, folder, frame, summary, final=final)
        if parts:
            parts.clear()
        summaries.append(summary)
        on_suite(summary)
        on_rows(frame)
    if config.method == BASE:  # evaluation is all that it is for
        run_dir.write_status(state="complete")
    return summaries
