"""Evaluation on held-out suites: greedy and sampled accuracy with intervals, one file pair per suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlsd_cli.artifacts import RunDir, write_json, write_parquet, write_text
from rlsd_cli.errors import UserError
from rlsd_cli.leakage.detect import leaks
from rlsd_cli.statistics.intervals import clustered_interval, wilson_interval
from rlsd_cli.tasks.base import Example, Task
from rlsd_cli.training.data import as_text

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from rlsd_cli.config import TaskConfig

GREEDY = -1  # sample_id of the greedy completion
BASE = "base"  # the method of a directory whose model nobody trained


@dataclass(frozen=True)
class EvalOptions:
    """How a model is evaluated; the same for every arm of a comparison."""

    samples: int = 4
    temperature: float = 1.0
    seed: int = 0
    limit: int | None = None
    batch_size: int = 200


def generate_rows(
    model: Any, tokenizer: Any, task: Task, examples: list[Example], options: EvalOptions, greedy: bool
) -> list[dict[str, Any]]:
    """Sample and judge completions; one row per completion, questions in order."""
    from rlsd_cli.sampling import sample

    repeats = 1 if greedy else options.samples
    queue = [(example, GREEDY if greedy else i) for example in examples for i in range(repeats)]
    rows = []
    for start in range(0, len(queue), options.batch_size):
        batch = queue[start : start + options.batch_size]
        result = sample(
            model,
            tokenizer,
            [example.prompt for example, _ in batch],
            max_new_tokens=task.max_completion_tokens,
            temperature=options.temperature,
            greedy=greedy,
        )
        lengths = result.completion_mask.sum(dim=1).tolist()
        for (example, sample_id), text, length, truncated in zip(
            batch, result.texts, lengths, result.truncated, strict=True
        ):
            verdict = task.verify(text, example.answer, example.id)
            rows.append(
                {
                    "prompt_id": example.id,
                    "sample_id": sample_id,
                    "prompt": as_text(example.prompt),
                    "completion": text,
                    "answer": example.answer,
                    "extracted": verdict.extracted,
                    "correct": verdict.correct,
                    "length": length,
                    "truncated": truncated,
                }
            )
    return rows


def evaluate_suite(
    model: Any, tokenizer: Any, task: Task, suite: str, examples: list[Example], options: EvalOptions
) -> pd.DataFrame:
    """Return every completion of a suite: a greedy one and ``options.samples`` sampled ones per question."""
    import pandas as pd
    import torch

    torch.manual_seed(options.seed)
    rows = generate_rows(model, tokenizer, task, examples, options, greedy=True)
    rows += generate_rows(model, tokenizer, task, examples, options, greedy=False)
    return pd.DataFrame(rows).assign(suite=suite)


def summarise(frame: pd.DataFrame, options: EvalOptions, step: int) -> dict[str, Any]:
    """Return the summary of a suite's completions (docs/run-directory.md, ``eval/<suite>.json``).

    The greedy interval is Wilson's; avg@k's has the question as the unit, because the
    samples of one question are not independent.
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
        "samples": options.samples,
        "temperature": options.temperature,
        "seed": options.seed,
        "greedy_accuracy": wilson.mean,
        "greedy_interval": [wilson.low, wilson.high],
        "avg_at_k": average.mean,
        "avg_at_k_interval": [average.low, average.high],
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
    from rlsd_cli.config import nearest

    for name in chosen:
        if name not in available:
            raise UserError(f"there is no suite '{name}'{nearest(name, available)}; suites: {', '.join(available)}.")
    names = chosen or list(available)
    return {name: available[name][:limit] for name in names}


def base_run(path: Path, model: str, task: TaskConfig) -> RunDir:
    """Make, or open again, the directory of an untrained model, so that it stands beside the trained ones.

    Args:
        path: The directory.
        model: A name, directory or hub id.
        task: Whose suites are asked.

    Raises:
        UserError: The directory holds something else.
    """
    import yaml

    from rlsd_cli.provenance import attempt

    wanted = {"method": BASE, "seed": 0, "task": task.model_dump(), "model": {"path": model}}
    run_dir = RunDir(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: give a directory with --output-dir.")
    # One that was killed while it was made holds no more than these.
    unfinished = {run_dir.config_file.name, run_dir.provenance_file.name}
    if path.is_dir() and not {child.name for child in path.iterdir()} <= unfinished:
        run_dir = RunDir.open(path)
        if run_dir.config() != wanted:
            raise UserError(f"{path} holds another model or task: give another --output-dir.")
        return run_dir
    write_text(run_dir.config_file, yaml.safe_dump(wanted, sort_keys=False))
    write_json(run_dir.provenance_file, {"schema_version": 1, "seed": 0, "attempts": [attempt()]})
    run_dir.write_status(state="complete", step=0, steps=0)
    return run_dir


def find_model(run_dir: RunDir, step: int | None) -> tuple[int, str]:
    """Return (step, directory) of the model to evaluate: the final one, or a checkpoint.

    Raises:
        UserError: The run has no such model.
    """
    from rlsd_cli.training.checkpoints import checkpoints, is_complete

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


def evaluate_run(
    path: Any,
    options: EvalOptions,
    suites: list[str],
    step: int | None = None,
    on_suite: Callable[[dict[str, Any]], None] = lambda summary: None,
) -> list[dict[str, Any]]:
    """Evaluate a run's model on the held-out suites and write eval/<suite>.json and .parquet.

    Args:
        path: The run directory.
        options: Samples, temperature, seed, limit.
        suites: Names of suites; all if empty.
        step: A checkpoint's step; the final model (or the newest checkpoint) if None.
        on_suite: Called with each summary as it is written.

    Raises:
        UserError: The directory is no run, or lacks the model or suite.
    """
    from rlsd_cli.config import ModelConfig, RunConfig
    from rlsd_cli.models import load_model, load_tokenizer
    from rlsd_cli.tasks.load import load_task

    run_dir = RunDir.open(path)
    config = RunConfig.model_validate(run_dir.config())
    task = load_task(config.task)
    examples = choose_suites(task.suites(), suites, options.limit)
    model_step, directory = find_model(run_dir, step)
    model = load_model(ModelConfig(path=directory, dtype=config.model.dtype)).eval()
    tokenizer = load_tokenizer(directory)
    summaries = []
    for name, questions in examples.items():
        frame = evaluate_suite(model, tokenizer, task, name, questions, options)
        summary = summarise(frame, options, model_step)
        write_parquet(run_dir.eval_dir / f"{name}.parquet", frame)
        write_json(run_dir.eval_dir / f"{name}.json", summary)
        summaries.append(summary)
        on_suite(summary)
    return summaries
