"""What a base does with a reference: right, wrong, or another question's.

Wrong references are plausible ones: the answers and solutions of the base's own wrong closed-book completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from rlsd_cli.generation.sample import sample
from rlsd_cli.statistics import Interval, wilson_interval
from rlsd_cli.tasks.arithmetic import CITATION, ArithmeticTask
from rlsd_cli.tasks.base import Example

HELD_OUT = -3  # stream of questions: runs' seeds start at 0, the probe's is −1, planted errors' −2
TRIES = 8  # closed-book completions of a question in search of a wrong one


@dataclass(frozen=True)
class Row:
    """Completions under one kind of prompt.

    Attributes:
        n: Completions.
        right: How many end in the right answer.
        followed: How many end in the reference's answer; None without a reference.
        citing: How many mention the reference.
    """

    n: int
    right: int
    followed: int | None
    citing: int

    def share(self, count: int) -> Interval:
        """Return a count as a share of n with Wilson's 95 % interval."""
        return wilson_interval(count, self.n)


@dataclass(frozen=True)
class Behaviour:
    """One row per kind of prompt: closed, answer, wrong_answer, solution, wrong_solution, other_question."""

    rows: dict[str, Row]

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {name: asdict(row) for name, row in self.rows.items()}


def read_references(
    model: Any, tokenizer: Any, task: ArithmeticTask, examples: Sequence[Example], temperature: float = 1.0
) -> Behaviour:
    """Sample one completion per question and kind of prompt.

    Args:
        model: A bare transformers model.
        tokenizer: Its tokenizer.
        task: Writes the open-book prompts and judges.
        examples: Questions, at least two.
        temperature: Of the sampling.
    """

    def complete(prompts: list[str]) -> list[str]:
        budget = task.max_completion_tokens
        return sample(model, tokenizer, prompts, max_new_tokens=budget, temperature=temperature).texts

    def row(asked: Sequence[Example], references: Sequence[str] | None, answers: Sequence[str] | None) -> Row:
        if not asked:
            return Row(0, 0, None if references is None else 0, 0)
        prompts = [example.prompt for example in asked]
        if references is not None:
            prompts = [task.teacher_prompt(prompt, text) for prompt, text in zip(prompts, references, strict=True)]
        texts = complete(prompts)
        found = [task.verify(text, example.answer) for text, example in zip(texts, asked, strict=True)]
        followed = None
        if answers is not None:
            followed = sum(each.extracted == answer for each, answer in zip(found, answers, strict=True))
        return Row(len(asked), sum(each.correct for each in found), followed, sum(CITATION in text for text in texts))

    wrong = own_wrong(complete, task, examples)
    misled = [example for example, _, _ in wrong]
    others = [*examples[1:], examples[0]]
    gold = [example.answer for example in examples]
    return Behaviour(
        {
            "closed": row(examples, None, None),
            "answer": row(examples, gold, gold),
            "wrong_answer": row(misled, [answer for _, _, answer in wrong], [answer for _, _, answer in wrong]),
            "solution": row(examples, [example.solution for example in examples], gold),
            "wrong_solution": row(misled, [text for _, text, _ in wrong], [answer for _, _, answer in wrong]),
            "other_question": row(examples, [each.solution for each in others], [each.answer for each in others]),
        }
    )


def own_wrong(complete: Any, task: ArithmeticTask, examples: Sequence[Example]) -> list[tuple[Example, str, str]]:
    """Return (example, completion, answer) of a wrong closed-book completion, for each question that has one."""
    found: dict[str, tuple[Example, str, str]] = {}
    for _ in range(TRIES):
        left = [example for example in examples if example.id not in found]
        if not left:
            break
        for text, example in zip(complete([example.prompt for example in left]), left, strict=True):
            verdict = task.verify(text, example.answer)
            if verdict.extracted.isdigit() and not verdict.correct:
                found[example.id] = (example, text, verdict.extracted)
    return [found[example.id] for example in examples if example.id in found]


def measure_behaviour(model: Any, tokenizer: Any, task: ArithmeticTask, count: int, seed: int = 0) -> Behaviour:
    """Read ``count`` held-out questions of the training distribution; ``seed`` is of the sampling."""
    torch.manual_seed(seed)
    return read_references(model, tokenizer, task, [task.train_example(HELD_OUT, index) for index in range(count)])
