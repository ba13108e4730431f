"""From a `Log` to a run directory, which is there whole or not at all."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.results import write as write_evaluation
from rlsd_cli.foreign.log import Log, Rollout
from rlsd_cli.leakage.detect import leaks
from rlsd_cli.records import refuse_url
from rlsd_cli.runs.directory import SCHEMA_VERSION, RunDir, jsonable, write_json, write_parquet, write_text
from rlsd_cli.statistics import clustered_interval
from rlsd_cli.training.recorder import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

SUITE = "validation"
FIGURES = ("reward", "entropy", "completions/mean_length")  # metrics that the report's figures are about


@dataclass(frozen=True)
class Identity:
    """What the run is to be: the tool that made it, the arm, its name in figures, the seed."""

    tool: str
    method: str
    label: str
    seed: int


@dataclass(frozen=True)
class Imported:
    """What has become a run directory: what it holds and what the log lacks, each as a list of words."""

    run: RunDir
    holds: list[str]
    lacks: list[str]


def make_run(log: Log, identity: Identity, output: Path) -> Imported:
    """Write a run directory.

    Args:
        log: What was read.
        identity: What the run is to be.
        output: Must not be there, or be empty.

    Raises:
        UserError: The place is taken, the log holds nothing, or a file of it turns out to be damaged.
    """
    refuse_url(output, "the run directory")
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        raise UserError(f"{output} is there already: give another --output-dir, or remove it.")
    try:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.absolute().parent))
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}.") from None
    try:
        run = RunDir(unfinished / "run")
        run.path.mkdir()
        holds, lacks = _fill(run, log, identity)
        if output.is_dir():
            output.rmdir()
        os.rename(run.path, output)
    finally:
        shutil.rmtree(unfinished)
    return Imported(RunDir(output), holds, lacks)


def _fill(run: RunDir, log: Log, identity: Identity) -> tuple[list[str], list[str]]:
    steps = write_rollouts(run, log)
    evaluated = write_evaluations(run, log, steps)
    if not log.metrics and not evaluated:
        read = f"{len(log.sources)} files were read" if log.sources else "no file is one of theirs"
        read += "".join(f"; {what}" for what in list(log.skipped)[:1])
        raise UserError(
            f"no metrics and no completions of {identity.tool} were found ({read}): give the directory that holds "
            "them, or name the files with --completions."
        )
    last = max([*log.metrics, *evaluated])
    train = {"steps": max(log.steps or 0, last), **log.settings.get("train", {})}
    config = {"method": identity.method, "label": identity.label, "seed": identity.seed, **log.settings, "train": train}
    holds, lacks = contents(log, steps, evaluated)
    write_text(run.config_file, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    lines = ({"step": step, **log.metrics[step]} for step in sorted(log.metrics))
    write_text(run.metrics_file, "".join(json.dumps(jsonable(line), ensure_ascii=False) + "\n" for line in lines))
    imported = {
        "from": identity.tool,
        "files": [str(path) for path in log.sources[:1000]],
        "imported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "holds": holds,
        "lacks": lacks,
    }
    write_json(run.provenance_file, {"seed": identity.seed, "imported": imported, "attempts": []})
    status = {"schema_version": SCHEMA_VERSION, "state": "complete", "step": last, "steps": train["steps"]}
    write_json(run.status_file, {**status, "error": None})
    return holds, lacks


def write_rollouts(run: RunDir, log: Log) -> Counter[int]:
    """Write the completions of the training step by step, and their leakage into the metrics.

    Returns:
        How many completions each step has.
    """
    counts: Counter[int] = Counter()
    leaked: Counter[int] = Counter()
    rights: defaultdict[int, list[float]] = defaultdict(list)
    batch: list[Rollout] = []

    def flush() -> None:
        if batch:
            path = run.completions_dir / f"step-{batch[0].step:06d}.parquet"
            write_parquet(path, frame_of(batch, path))
            batch.clear()

    for each in log.rollouts():
        if batch and batch[0].step != each.step:
            flush()
        batch.append(each)
        counts[each.step] += 1
        leaked[each.step] += leaks(each.completion, each.prompt)
        if each.reward is not None:
            rights[each.step].append(each.reward)
    flush()
    for step, count in counts.items():
        record = log.metrics.setdefault(step, {})
        record.setdefault("leakage/rate", leaked[step] / count)
        if rights[step]:
            record.setdefault("reward", sum(rights[step]) / len(rights[step]))
    return counts


def frame_of(batch: list[Rollout], before: Path | None = None) -> pd.DataFrame:
    """Return completions as a table with the columns of a run directory; one that is written already is gone on with.

    A group is what answers one prompt in one step.
    """
    import pandas as pd

    frame = pd.DataFrame([asdict(each) for each in batch])
    frame["prompt_id"] = [prompt_id(each) for each in batch]
    for name in ("reference", "decoy", "why"):
        frame[name] = ""
    frame["length"] = pd.array([None] * len(frame), dtype="Int64")  # in tokens, which a text does not tell
    frame["truncated"] = pd.array([None] * len(frame), dtype="boolean")
    frame["correct"] = frame["correct"].astype("boolean")
    for name in ("reward", "advantage"):
        frame[name] = frame[name].astype("Float64")
    if before is not None and before.is_file():
        frame = pd.concat([pd.read_parquet(before).drop(columns="sample_id"), frame], ignore_index=True)
    frame["sample_id"] = frame.groupby("prompt_id", sort=False).cumcount()
    return frame[list(COLUMNS)]


def prompt_id(each: Rollout) -> str:
    """Return a name for a question: other tools' logs have none, so equal texts are one question."""
    return hashlib.sha256(f"{each.prompt}\0{each.answer}".encode()).hexdigest()[:12]


def write_evaluations(run: RunDir, log: Log, steps: Iterable[int]) -> Counter[int]:
    """Write the completions on held-out questions, an evaluation for each step.

    Args:
        run: The run.
        log: What was read.
        steps: Those of the training's completions.

    Returns:
        How many completions each step's evaluation has.
    """
    by_step: defaultdict[int, list[Rollout]] = defaultdict(list)
    for each in log.evaluations():
        by_step[each.step].append(each)
    last = max([*log.metrics, *by_step, *steps], default=0)
    written: Counter[int] = Counter()
    for step, batch in by_step.items():
        if any(each.correct is None and each.reward is None for each in batch):
            log.skipped[f"validation of step {step}, which has neither verdicts nor rewards"] += 1
            continue
        frame, samples = as_suite(batch)
        average = clustered_interval(frame["correct"].astype(float), frame["prompt_id"])
        mentions = [leaks(each.completion, each.prompt) for each in batch]
        summary = {
            "suite": SUITE,
            "checkpoint_step": step,
            "model": "imported",
            "samples": samples,
            "n_questions": int(frame["prompt_id"].nunique()),
            "avg_at_k": average.mean,
            "avg_at_k_interval": average.ends,
            "leakage_rate": sum(mentions) / len(mentions),
        }
        write_evaluation(run, f"step-{step}", frame, summary, final=step == last)
        written[step] = len(batch)
    return written


def as_suite(batch: list[Rollout]) -> tuple[pd.DataFrame, int]:
    """Return completions as an evaluation's rows, and how many samples each question has.

    A question that stands twice among the held-out ones has twice the samples: it is two questions. Where there is no
    verdict, a reward above 0 is one.
    """
    frame = frame_of(batch)
    frame["correct"] = [each.correct if each.correct is not None else (each.reward or 0) > 0 for each in batch]
    frame["suite"] = SUITE
    samples = reduce(math.gcd, frame["prompt_id"].value_counts().tolist())
    frame["prompt_id"] += "-" + (frame["sample_id"] // samples).astype(str)
    frame["sample_id"] %= samples
    named = ["suite", "prompt_id", "sample_id", "prompt", "completion", "answer", "extracted", "correct", "why"]
    return frame[[*named, "length", "truncated"]], samples


def contents(log: Log, rollouts: Counter[int], evaluated: Counter[int]) -> tuple[list[str], list[str]]:
    """Return what a run directory holds and what the log lacks, in words."""
    keys = {key for record in log.metrics.values() for key in record}
    holds, lacks = [], []
    if log.metrics:
        holds.append(f"{len(keys)} metrics over {len(log.metrics)} steps")
    lacks += [f"the metric {name}" for name in FIGURES if name not in keys]
    if rollouts:
        holds.append(f"{rollouts.total()} completions of {len(rollouts)} steps, and their leakage")
    else:
        lacks.append("completions, without which there is no leakage to audit")
    if evaluated:
        holds.append(f"{len(evaluated)} evaluations on held-out questions")
    else:
        lacks.append("completions on held-out questions, on which verdicts about accuracy rest")
    lacks.append("what a teacher was shown, token credit and probes")
    lacks += [f"{what} (left out)" + (f", {count} times" if count > 1 else "") for what, count in log.skipped.items()]
    return holds, lacks
