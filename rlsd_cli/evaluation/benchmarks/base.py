"""What a benchmark is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rlsd_cli.records.missing import is_missing
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.choice import LETTERS
from rlsd_cli.verifiers.verdict import Verdict

if TYPE_CHECKING:
    from datasets import Dataset


NO_ANSWER = ("", "?", "None")


@dataclass(frozen=True)
class Question:
    """A row of a benchmark, read: everything but its images.

    ``images`` holds the values of image columns as stored; ``meta`` what the verdict and the aggregation need: of a
    question with ``options`` also ``letter``, that of the right one, None where the answer names none of them.
    """

    id: str
    text: str
    answer: str
    images: tuple[Any, ...]
    meta: dict[str, Any]


def mean(values: Iterable[float]) -> float:
    """Return the arithmetic mean of at least one value."""
    each = list(values)
    return sum(each) / len(each)


def plain_accuracy(examples: Sequence[Example], correct: Sequence[bool]) -> dict[str, float]:
    """Return the share of right answers."""
    return {"accuracy": mean(correct)}


def accuracy_by(examples: Sequence[Example], correct: Sequence[bool], key: str) -> dict[str, float]:
    """Return the share of right answers per value of ``meta[key]``, as ``accuracy/<value>``."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for example, right in zip(examples, correct, strict=True):
        groups[str(example.meta[key])].append(right)
    return {f"accuracy/{value}": mean(groups[value]) for value in sorted(groups)}


def in_file_order(rows: Dataset) -> list[int]:
    """Return the rows' numbers as they lie."""
    return list(range(len(rows)))


def lettered(options: Sequence[str]) -> str:
    """Return options as lines ``(A) …``."""
    return "\n".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False))


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: How it is asked for.
        hub: Id of the hub data set.
        split: The split with public answers.
        columns: Columns that a copy must have.
        instruction: The end of the prompt, by the benchmark's own template.
        read: From a row to a question.
        judge: From a completion and its example to a verdict.
        metrics: From examples and verdicts to the benchmark's own numbers, in [0, 1].
        order: The order of the rows, which decides what a limit keeps.
        unit: What a question belongs to, for intervals: questions of one unit are not independent.
        every_subset: The hub data set has a configuration per subject, and all belong to it.
        subset: The configuration of the hub data set that is meant, where it has several.
        sampling: Options of `rlsd eval` as the official harness has them (`EvalOptions`), where it differs.
        protocol: Which number is the official one, and where that is said.
    """

    name: str
    hub: str
    split: str
    columns: tuple[str, ...]
    instruction: str
    read: Callable[[Mapping[str, Any]], Question]
    judge: Callable[[str, Example], Verdict]
    metrics: Callable[[Sequence[Example], Sequence[bool]], dict[str, float]] = plain_accuracy
    order: Callable[[Dataset], list[int]] = in_file_order
    unit: Callable[[Example], str] = lambda example: example.id
    every_subset: bool = False
    subset: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = ""


def fault_of(question: Question) -> str | None:
    """Return why no completion of a question could be judged right, None where one could."""
    if is_missing(question.answer) or question.answer.strip() in NO_ANSWER:
        return "has no answer"
    options = question.meta.get("options")
    if options and question.meta.get("letter") is None:
        return f"has the answer '{question.answer}', which is none of its {len(options)} options"
    if not options and question.meta.get("multiple_choice"):
        return f"has the answer '{question.answer}' and no options"
    return None
