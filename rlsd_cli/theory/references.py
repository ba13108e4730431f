"""Which P(r|x) the floor is taken under: true references of several kinds, or answers that the student believes in.

kinds    uniform over the task's reference kinds: the final answer, the solution, the solution by another
         route; on the testbed with several solutions of each kind, in words of their own. All are true; R says
         which of them the teacher happens to have read.
beliefs  the reference is an answer, drawn from the student's own sampled answers to the question. R says
         which answer the teacher was told. To a student that cannot work out the answer, the right one
         is as random as that, although it is a function of x.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rlsd_cli.errors import UserError
from rlsd_cli.generation.sample import sample
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.base import Example, ReferenceKind, Task

Prior = Literal["kinds", "beliefs"]
KINDS: tuple[ReferenceKind, ...] = ("answer", "solution", "other_route")
BELIEF_SAMPLES = 16
WORDINGS = 4  # solutions of each kind, where the task can write more than one


@dataclass(frozen=True)
class References:
    """The references of Q questions with their probabilities.

    Attributes:
        texts: Q lists of R privileged texts.
        weights: (Q, R) P(r|x), rows sum to 1; a 0 marks a place that is only filled up.
        names: Names of the R places, several of which may be equal; empty where a place means something else for
            each question.
    """

    texts: list[list[str]]
    weights: Tensor
    names: tuple[str, ...]


def kind_references(examples: list[Example], task: Task) -> References:
    """Return references of every kind, the kinds equally probable, and the references of a kind as well.

    Raises:
        UserError: The task lacks a kind.
    """
    missing = [kind for kind in KINDS if not all(example.reference(kind) for example in examples)]
    if missing:
        raise UserError(
            f"task '{task.name}' has no reference of kind {', '.join(missing)}: "
            "the floor needs several true references per question; use the arithmetic testbed."
        )
    if isinstance(task, ArithmeticTask) and task.wording.words:
        counts = {kind: 1 if kind == "answer" else WORDINGS for kind in KINDS}
        texts = [[text for kind in KINDS for text in task.references(each, kind, counts[kind])] for each in examples]
    else:
        counts = dict.fromkeys(KINDS, 1)
        texts = [[example.reference(kind) for kind in KINDS] for example in examples]
    names = tuple(kind for kind in KINDS for _ in range(counts[kind]))
    weights = torch.tensor([1 / (len(KINDS) * counts[kind]) for kind in names], dtype=torch.float64)
    return References(texts, weights.repeat(len(examples), 1), names)


def belief_references(
    student: Any, tokenizer: Any, task: Task, examples: list[Example], *, max_new_tokens: int, temperature: float
) -> References:
    """Return the answers that the student gives to each question, with their frequencies as probabilities.

    A question to which no completion gives an answer has the gold answer as its one reference.
    """
    prompts = [example.prompt for example in examples for _ in range(BELIEF_SAMPLES)]
    found = sample(student, tokenizer, prompts, max_new_tokens=max_new_tokens, temperature=temperature).texts
    beliefs = []
    for index, example in enumerate(examples):
        own = found[index * BELIEF_SAMPLES : (index + 1) * BELIEF_SAMPLES]
        beliefs.append(believed_answers([task.verify(text, example.answer).extracted for text in own], example.answer))
    places = max(len(answers) for answers in beliefs)
    texts, weights = [], torch.zeros(len(examples), places, dtype=torch.float64)
    for index, (example, answers) in enumerate(zip(examples, beliefs, strict=True)):
        texts.append([*answers, *[example.answer] * (places - len(answers))])
        weights[index, : len(answers)] = torch.tensor(list(answers.values()), dtype=torch.float64)
    return References(texts, weights, ())


def believed_answers(extracted: list[str], gold: str) -> dict[str, float]:
    """Return every answer with its frequency, most frequent first; none is left out, so that H(R) is the sample's own.

    Only answers that look like the gold one count (a bare number for a number): the task's open-book
    prompt introduces such a reference as an answer.
    """
    counts = Counter(answer for answer in extracted if answer and answer.isdigit() == gold.isdigit())
    common = counts.most_common() or [(gold, 1)]
    total = sum(count for _, count in common)
    return {answer: count / total for answer, count in common}
