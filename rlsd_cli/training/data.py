"""The training data set and the reward of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset

from rlsd_cli.config.run import RunConfig
from rlsd_cli.leakage.decoys import answer_pool, decoy_of
from rlsd_cli.models.images import require_vision
from rlsd_cli.models.limits import check_rewards
from rlsd_cli.models.processors import takes_images
from rlsd_cli.models.shapes import Shapes
from rlsd_cli.tasks.base import Example, ReferenceKind, Task
from rlsd_cli.tasks.feedback import feedback_on
from rlsd_cli.tasks.messages import as_text, without_images
from rlsd_cli.tasks.templates import fields_in_row
from rlsd_cli.verifiers.load import judge_all
from rlsd_cli.verifiers.reasoning import opening_before
from rlsd_cli.verifiers.verdict import Verdict

REFERENCE_KINDS: tuple[ReferenceKind, ...] = ("answer", "solution", "other_route")


def training_set(config: RunConfig, task: Task, takes_images: bool = False) -> Dataset:
    """Return the examples of a run in the order of training: the same for every arm of a seed.

    Rows are made when they are asked for, so that neither texts nor images of a whole run are ever in memory.
    ``index`` numbers the questions of the run: unlike a data set's own ids, it is never there twice.

    Args:
        config: The run.
        task: Its task.
        takes_images: Whether the model reads images. Rows then have a column ``images``, a list of PIL
            images that may be empty, and the prompts hold placeholders, which TRL fills from it.

    Raises:
        UserError: The first question has images and the model reads text only (so says a later row, too).
    """
    count = config.train.steps * config.train.prompts_per_step
    share = config.leakage.decoy_share
    pool = answer_pool(task, config.seed, count) if share else []

    def rows(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        # A batch holds each question once for every rollout: make it once.
        examples = {index: task.train_example(config.seed, index) for index in set(batch["index"])}
        columns = columns_of([examples[index] for index in batch["index"]], takes_images, config.model.path)
        decoys = {index: decoy_of(config.seed, share, example, pool) for index, example in examples.items()}
        more: dict[str, dict[int, Any]] = {"decoy": dict(decoys)}
        if hasattr(task, "row_fields"):  # what the teacher's template names of the question's row
            more["fields"] = {index: fields_in_row(task, example) for index, example in examples.items()}
        shown = {name: [of[index] for index in batch["index"]] for name, of in more.items()}
        return {"index": batch["index"], **columns, **shown}

    dataset = Dataset.from_dict({"index": list(range(count))}).with_transform(rows)
    dataset[0]  # so that unreadable questions are told before training
    return dataset


def check_images(config: RunConfig, task: Task, processing: Any, say: Callable[[str], None]) -> None:
    """Look at the images of all questions of a run, by their headers, before anything is sampled.

    Raises:
        UserError: An image is missing or broken, the model can't read its shape, or the model reads text only.
    """
    from rlsd_cli.tasks.dataset import DatasetTask

    if not isinstance(task, DatasetTask):
        return
    reads = takes_images(processing)
    shapes = Shapes(processing.image_processor) if reads else None

    def check(sizes: list[tuple[int, int]], where: str) -> None:
        require_vision(reads, tuple(sizes), config.model.path)
        if shapes:
            shapes.check(sizes, where)

    task.check_images(config.seed, config.train.steps * config.train.prompts_per_step, check, say)


def columns_of(examples: list[Example], takes_images: bool, model: str) -> dict[str, list[Any]]:
    """Return examples as columns for TRL.

    Raises:
        UserError: A question has images and the model reads text only.
    """
    for example in examples:
        require_vision(takes_images, example.images, model)
    columns: dict[str, list[Any]] = {
        "prompt": [without_images(example.prompt) for example in examples],
        "prompt_id": [example.id for example in examples],
    }
    for kind in REFERENCE_KINDS:
        columns[kind] = [example.reference(kind) for example in examples]
    if takes_images:
        columns["images"] = [list(example.images) for example in examples]
    return columns


class VerifierReward:
    """A task's verifier and reward as a TRL reward function.

    What it saw and found stays in ``record`` until the next call: equal-length lists by column of
    completions/*.parquet, and the completions' token ids.

    Args:
        task: The task.
        opening: The reasoning tag that the chat template opens for every completion, '' where it opens none.
    """

    __name__ = "accuracy"

    def __init__(self, task: Task, opening: str = "") -> None:
        self.task, self.opening = task, opening
        self.record: dict[str, list[Any]] = {}
        self.verdicts: list[Verdict] = []

    def feedback(self) -> list[str]:
        """Return what the task says of each completion of the last call, '' where nothing."""
        rows = zip(self.record["prompt"], self.record["completion"], self.verdicts, strict=True)
        return [feedback_on(self.task, prompt, text, verdict) for prompt, text, verdict in rows]

    def judged(
        self, prompts: Sequence[Any], texts: Sequence[str], answers: Sequence[str], prompt_ids: Sequence[str]
    ) -> tuple[list[Verdict], list[float]]:
        """Return the verdict and the reward of each completion.

        Raises:
            UserError: The task gives a reward that is no finite number.
        """
        said = [opening_before(prompt, self.opening) + text for prompt, text in zip(prompts, texts, strict=True)]
        verdicts = judge_all(self.task.verify, list(zip(said, answers, prompt_ids, strict=True)))
        rewards = [self.task.reward(text, verdict) for text, verdict in zip(texts, verdicts, strict=True)]
        check_rewards(rewards, prompt_ids)
        return verdicts, rewards

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        answer: list[str],
        prompt_id: list[str],
        **_: Any,
    ) -> list[float]:
        """Return one reward per completion.

        Raises:
            UserError: The task gives a reward that is no finite number.
        """
        texts = [as_text(completion) for completion in completions]
        verdicts, rewards = self.judged(prompts, texts, answer, prompt_id)
        self.verdicts = verdicts
        self.record = {
            "prompt_id": list(prompt_id),
            "prompt": [as_text(prompt) for prompt in prompts],
            "completion": texts,
            "answer": list(answer),
            "extracted": [verdict.extracted for verdict in verdicts],
            "correct": [verdict.correct for verdict in verdicts],
            "why": [verdict.why for verdict in verdicts],
            "reward": rewards,
            "length": [len(ids) for ids in completion_ids],
            "completion_ids": completion_ids,
        }
        return rewards
