"""The training data set and the reward of a run."""

from __future__ import annotations

from typing import Any

from datasets import Dataset

from rlsd_cli.config import RunConfig
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.base import ReferenceKind, Task, Verdict

REFERENCE_KINDS: tuple[ReferenceKind, ...] = ("answer", "solution", "other_route")


def training_set(config: RunConfig, task: Task) -> Dataset:
    """Return the examples of a run in the order of training: the same for every arm of a seed.

    Raises:
        UserError: A question has images: the teacher's pass over them is not built yet.
    """
    examples = [
        task.train_example(config.seed, index) for index in range(config.train.steps * config.train.prompts_per_step)
    ]
    if any(example.images for example in examples):
        raise UserError("questions with images can be read and checked, but not trained on yet: use text questions.")
    columns: dict[str, list[Any]] = {
        "prompt": [example.prompt for example in examples],
        "prompt_id": [example.id for example in examples],
    }
    for kind in REFERENCE_KINDS:
        columns[kind] = [example.reference(kind) for example in examples]
    return Dataset.from_dict(columns)


def as_text(message: Any) -> str:
    """Return a prompt or completion as text: chat turns are joined by line breaks."""
    if isinstance(message, str):
        return message
    return "\n".join(
        part if isinstance(part, str) else part.get("text") or ""
        for turn in message
        for part in ([turn["content"]] if isinstance(turn["content"], str) else turn["content"])
    )


class VerifierReward:
    """A task's verifier and reward as a TRL reward function.

    The verdicts of the last call stay in ``verdicts``, so that they need not be made twice.
    """

    __name__ = "accuracy"

    def __init__(self, task: Task) -> None:
        self.task = task
        self.verdicts: list[Verdict] = []

    def __call__(self, completions: list[Any], answer: list[str], prompt_id: list[str], **_: Any) -> list[float]:
        """Return one reward per completion."""
        texts = [as_text(completion) for completion in completions]
        self.verdicts = [self.task.verify(*row) for row in zip(texts, answer, prompt_id, strict=True)]
        return [self.task.reward(text, verdict) for text, verdict in zip(texts, self.verdicts, strict=True)]
