"""`rlsd leakage-audit RUN --exposure`: the decoys of a run, scored closed-book at each of its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.chart import exposure_chart
from rlsd_cli.leakage.closed_book import follow_shares, score_prompt
from rlsd_cli.leakage.decoys import flagged_examples
from rlsd_cli.leakage.exposure import (
    Scores,
    excess,
    exposure_p,
    follow_difference,
    follow_p,
    mean_excess,
    null_exposure,
)
from rlsd_cli.runs.directory import RunDir, write_json, write_parquet, write_text
from rlsd_cli.tasks.base import ReferenceKind

PROMPTS = 256  # flagged questions that are scored, at most
CHECKPOINTS = 8  # of a run, evenly spaced, at most; the first and the last are among them


def expose(
    path: Path | str,
    prompts: int = PROMPTS,
    samples: int = 0,
    told: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Score the decoys of a run at its checkpoints; write leakage/exposure.json, exposure.parquet and exposure.svg.

    Every run is scored in the text that its teacher saw and in the bare statement of the answer, so that arms with
    different references can be compared with the same run of GRPO.

    Args:
        path: A run directory.
        prompts: Questions, at most.
        samples: Completions per question and checkpoint for the follow rate; 0: none.
        told: Told what is being done.

    Raises:
        UserError: The run was trained without decoys, or has no checkpoint.
    """
    import pandas as pd

    from rlsd_cli.config.run import ModelConfig, RunConfig
    from rlsd_cli.models.load import load_model, load_tokenizer
    from rlsd_cli.tasks.load import load_task

    run = RunDir.open(path)
    config = RunConfig.model_validate(run.config())
    if not config.leakage.decoy_share:
        raise UserError(f"{path} was trained without decoys: train with --set leakage.decoy_share=0.1 for --exposure.")
    task = load_task(config.task)
    chosen = flagged_examples(config, task, prompts)
    if len(chosen) < 2:
        raise UserError(f"{path} has {len(chosen)} questions with a decoy, too few: raise leakage.decoy_share.")
    kind = config.teacher.reference
    # The solution of every run, too, where the task has any: what GRPO, which has no teacher, is compared in.
    texts: dict[ReferenceKind, None] = dict.fromkeys(["answer", kind])
    if any(example.reference("solution") for example, _ in chosen):
        texts["solution"] = None
    budget = config.train.max_completion_tokens or task.max_completion_tokens
    rows, each = [], []
    for step, directory in models_of(run, config.model.path):
        told(f"scoring {len(chosen)} questions at step {step}")
        model = load_model(ModelConfig(path=directory, dtype=config.model.dtype)).eval()
        processing = load_tokenizer(directory)
        follows = follow_shares(model, processing, task, chosen, samples, budget) if samples else []
        for text in texts:
            scores = [score_prompt(model, processing, task, example, text, decoys) for example, decoys in chosen]
            if follows:
                scores = [replace(score, follows=shares) for score, shares in zip(scores, follows, strict=True)]
            if text == kind:
                rows.append(summary(step, scores))
            each += [per_question(step, text, score) for score in scores]
    smallest = min(len(decoys.unseen) for _, decoys in chosen)
    result = {
        "method": config.name,
        "decoy_share": config.leakage.decoy_share,
        "reference": kind,
        "shown": is_shown(config.method),
        "prompts": len(chosen),
        "unseen": smallest,
        "null": null_exposure(smallest),
        "by_step": rows,
    }
    write_json(run.leakage_dir / "exposure.json", result)
    write_parquet(run.leakage_dir / "exposure.parquet", pd.DataFrame(each))
    write_text(run.leakage_dir / "exposure.svg", exposure_chart(rows))
    return result


def is_shown(method: str) -> bool | None:
    """Tell whether an arm's teacher sees references, and with them the decoys; None of an arm that is not at hand."""
    from rlsd_cli.arms import load_arm

    try:
        return load_arm(method).uses_reference
    except UserError:
        return None


def models_of(run: RunDir, base: str) -> list[tuple[int, str]]:
    """Return (step, directory) of the models to score: the untrained one, then checkpoints, then the final one.

    Raises:
        UserError: The run has none that is trained.
    """
    from rlsd_cli.evaluation.run import find_model
    from rlsd_cli.runs.checkpoints import checkpoints, is_complete

    saved = {step: str(path) for step, path in checkpoints(run.checkpoints_dir) if is_complete(path)}
    final, directory = find_model(run, None)
    saved[final] = directory
    steps = sorted(saved)
    if len(steps) > CHECKPOINTS:
        steps = [steps[round(place * (len(steps) - 1) / (CHECKPOINTS - 1))] for place in range(CHECKPOINTS)]
    return [(0, base), *((step, saved[step]) for step in dict.fromkeys(steps) if step)]


def summary(step: int, scores: list[Scores]) -> dict[str, Any]:
    """Return what exposure.json keeps of a checkpoint."""
    mean = mean_excess(scores)
    follow = follow_difference(scores)
    row: dict[str, Any] = {"step": step, "n": mean.n, "excess": mean.mean, "low": mean.low, "high": mean.high}
    row["p"] = exposure_p(scores)
    if follow:
        row["follow_difference"] = {"value": follow.mean, "low": follow.low, "high": follow.high, "p": follow_p(scores)}
        row["follow_rate"] = sum(score.follows[0] for score in scores) / len(scores)
    return row


def per_question(step: int, text: str, score: Scores) -> dict[str, Any]:
    """Return a row of exposure.parquet."""
    higher, tied = score.rank
    row = {
        "step": step,
        "prompt_id": score.prompt_id,
        "text": text,
        "higher": higher,
        "tied": tied,
        "unseen": len(score.unseen),
        "excess": excess(score.seen, score.unseen),
    }
    if score.follows:
        first, *others = score.follows
        row |= {"follow": first, "follow_unseen": sum(others) / len(others)}
    return row
