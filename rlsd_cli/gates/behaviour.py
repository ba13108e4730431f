"""What a model does with a reference: right, wrong, or another question's.

Wrong references are plausible ones: the answers and completions of the model's own wrong closed-book attempts, and
where it has none a decoy, another answer of the form of the right one (`rlsd_cli.leakage.decoys`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from rlsd_cli.generation.sample import sample
from rlsd_cli.leakage.decoys import draw, wrong_reference
from rlsd_cli.leakage.detect import leaks
from rlsd_cli.statistics import Interval, clustered_interval, wilson_interval
from rlsd_cli.tasks.base import Example, ReferenceKind, Task
from rlsd_cli.tasks.messages import as_text
from rlsd_cli.verifiers.load import judge_all
from rlsd_cli.verifiers.reasoning import opening_before, template_opening
from rlsd_cli.verifiers.verdict import Verdict

HELD_OUT = -3  # stream of questions: runs' seeds start at 0, the probe's is −1, planted errors' −2
TRIES = 8  # closed-book completions of a question in search of a wrong one
ROWS = 256  # completions sampled at once
KINDS: tuple[ReferenceKind, ...] = ("answer", "solution")


@dataclass(frozen=True)
class Read:
    """One completion: its question, whether it is right, ends in its reference's answer, mentions a reference."""

    question: str
    right: bool
    followed: bool | None
    cites: bool


@dataclass(frozen=True)
class Row:
    """Completions under one kind of prompt.

    Attributes:
        n: Completions.
        right: How many end in the right answer.
        followed: How many end in the reference's answer; None without a reference.
        citing: How many mention the reference.
        reads: The completions themselves.
    """

    n: int
    right: int
    followed: int | None
    citing: int
    reads: tuple[Read, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, reads: Sequence[Read]) -> Row:
        """Count."""
        told = [read.followed for read in reads if read.followed is not None]
        right, citing = sum(read.right for read in reads), sum(read.cites for read in reads)
        return cls(len(reads), right, sum(told) if told else None, citing, tuple(reads))

    def share(self, what: str) -> Interval:
        """Return ``right``, ``followed`` or ``cites`` as a share with its 95 % interval, the question as the unit."""
        values = [float(getattr(read, what)) for read in self.reads]
        if len(values) == len({read.question for read in self.reads}):
            return wilson_interval(int(sum(values)), len(values))
        return clustered_interval(values, [read.question for read in self.reads])


@dataclass(frozen=True)
class Behaviour:
    """One row per kind of prompt.

    Attributes:
        rows: closed, answer, wrong_answer, solution, wrong_solution, other_question; those of references that the task
            has.
        own: Questions whose wrong reference is the model's own; the others' is a decoy.
    """

    rows: dict[str, Row]
    own: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        names = ("n", "right", "followed", "citing")
        return {name: {key: getattr(row, key) for key in names} for name, row in self.rows.items()}

    def gain(self, name: str) -> Interval:
        """Return how much more often a row is right than closed-book, paired by question, with its 95 % interval."""
        return difference(self.rows[name].reads, self.rows["closed"].reads)


def difference(reads: Sequence[Read], others: Sequence[Read]) -> Interval:
    """Return the mean over questions of the difference in right answers; a question counts where both have it."""
    from rlsd_cli.statistics import t_interval

    def means(of: Sequence[Read]) -> dict[str, float]:
        asked: dict[str, list[float]] = {}
        for read in of:
            asked.setdefault(read.question, []).append(float(read.right))
        return {question: sum(values) / len(values) for question, values in asked.items()}

    ours, theirs = means(reads), means(others)
    return t_interval([ours[question] - theirs[question] for question in ours if question in theirs])


@dataclass(frozen=True)
class Reader:
    """Asks a model, and judges as training does.

    Attributes:
        model: A bare transformers model.
        processing: Its tokenizer or processor.
        task: Writes the open-book prompts and judges.
        max_new_tokens: Budget of a completion.
        temperature: Of the sampling.
    """

    model: Any
    processing: Any
    task: Task
    max_new_tokens: int
    temperature: float = 1.0

    def complete(self, prompts: Sequence[Any]) -> list[str]:
        """Sample one completion per prompt."""
        texts: list[str] = []
        for start in range(0, len(prompts), ROWS):
            part = list(prompts[start : start + ROWS])
            budget, temperature = self.max_new_tokens, self.temperature
            found = sample(self.model, self.processing, part, max_new_tokens=budget, temperature=temperature)
            texts += found.texts
        return texts

    def judge(self, texts: Sequence[str], examples: Sequence[Example], answers: Sequence[str]) -> list[Verdict]:
        """Judge completions of examples against answers: the right ones, or others."""
        opening = template_opening(self.processing)
        said = [opening_before(each.prompt, opening) + text for text, each in zip(texts, examples, strict=True)]
        asked = [(text, answer, each.id) for text, answer, each in zip(said, answers, examples, strict=True)]
        return judge_all(self.task.verify, asked)

    def read(
        self, examples: Sequence[Example], references: Sequence[str] | None = None, answers: Sequence[str] = ()
    ) -> Row:
        """Sample one completion per example: closed-book, or with references whose answers are ``answers``."""
        if not examples:
            return Row(0, 0, None if references is None else 0, 0)
        prompts = [each.prompt for each in examples]
        if references is not None:
            prompts = [self.task.teacher_prompt(prompt, text) for prompt, text in zip(prompts, references, strict=True)]
        texts = self.complete(prompts)
        found = self.judge(texts, examples, [each.answer for each in examples])
        followed: Sequence[bool | None] = [None] * len(texts)
        if references is not None:
            against = self.judge(texts, examples, answers)
            followed = [
                verdict.correct if same(answer, each.answer) else follows(verdict, told, answer)
                for verdict, told, answer, each in zip(found, against, answers, examples, strict=True)
            ]
        mentions = [leaks(text, as_text(each.prompt)) for text, each in zip(texts, examples, strict=True)]
        columns = zip(examples, found, followed, mentions, strict=True)
        return Row.of([Read(each.id, verdict.correct, told, cites) for each, verdict, told, cites in columns])


def same(one: str, other: str) -> bool:
    """Tell whether two answers are written alike."""
    return one.strip() == other.strip()


def follows(verdict: Verdict, against: Verdict, answer: str) -> bool:
    """Tell whether a completion ends in a reference's answer that is not the right one.

    Some verifiers judge by the question alone, whatever answer they are given: what they call right is not that.
    """
    return same(verdict.extracted, answer) or (not verdict.correct and against.correct)


def read_references(
    model: Any,
    tokenizer: Any,
    task: Task,
    examples: Sequence[Example],
    temperature: float = 1.0,
    *,
    kinds: Sequence[ReferenceKind] = KINDS,
    max_new_tokens: int | None = None,
    samples: int = 1,
    decoys: bool = True,
    told: Callable[[str], None] = lambda row: None,
) -> Behaviour:
    """Sample ``samples`` completions per question and kind of prompt.

    Args:
        model: A bare transformers model.
        tokenizer: Its tokenizer or processor.
        task: Writes the open-book prompts and judges.
        examples: Questions, at least two.
        temperature: Of the sampling.
        kinds: Of reference; of one that no question has there are no rows.
        max_new_tokens: Budget of a completion; the task's where None.
        samples: Completions of each question.
        decoys: Whether a question without a wrong attempt of the model's own gets a decoy; it is left out otherwise.
        told: Called with each row's name before it is sampled.
    """
    reader = Reader(model, tokenizer, task, max_new_tokens or task.max_completion_tokens, temperature)
    told("closed")
    rows = {"closed": reader.read(repeat(examples, samples))}
    having = {kind: [each for each in examples if each.reference(kind).strip()] for kind in kinds}
    told("wrong answers")
    open_book = {each.id for of_kind in having.values() for each in of_kind}
    wrong = wrong_references(reader, [each for each in examples if each.id in open_book], decoys)
    for kind in (kind for kind in kinds if having[kind]):
        told(kind)
        asked = repeat(having[kind], samples)
        rows[kind] = reader.read(asked, [each.reference(kind) for each in asked], [each.answer for each in asked])
        told(f"wrong_{kind}")
        misled = repeat([each for each in having[kind] if each.id in wrong], samples)
        texts = [wrong[each.id].texts[kind] for each in misled]
        rows[f"wrong_{kind}"] = reader.read(misled, texts, [wrong[each.id].answer for each in misled])
    known = [kind for kind in kinds if having[kind]]
    if known:
        told("other_question")
        most = known[-1]  # of the kinds that there are the one that says most
        pairs = [pair for pair in others(having[most]) for _ in range(samples)]
        references = [other.reference(most) for _, other in pairs]
        rows["other_question"] = reader.read([own for own, _ in pairs], references, [o.answer for _, o in pairs])
    return Behaviour(rows, sum(each.own for each in wrong.values()))


def repeat(examples: Iterable[Example], samples: int) -> list[Example]:
    """Return each example ``samples`` times."""
    return [each for each in examples for _ in range(samples)]


def others(examples: Sequence[Example]) -> list[tuple[Example, Example]]:
    """Return each example with the next one, going round, that has another answer; those that have one."""
    found = []
    for place, own in enumerate(examples):
        later = [*examples[place + 1 :], *examples[:place]]
        other = next((each for each in later if not same(each.answer, own.answer)), None)
        if other is not None:
            found.append((own, other))
    return found


@dataclass(frozen=True)
class Wrong:
    """A wrong answer to a question, the reference of each kind that ends in it, and whether it is the model's own."""

    answer: str
    texts: dict[ReferenceKind, str]
    own: bool


def wrong_references(reader: Reader, examples: Sequence[Example], decoys: bool) -> dict[str, Wrong]:
    """Return a wrong reference of each question by its id: the model's own first wrong attempt, else a decoy."""
    found: dict[str, Wrong] = {}
    for _ in range(TRIES):
        left = [each for each in examples if each.id not in found]
        if not left:
            break
        texts = reader.complete([each.prompt for each in left])
        for text, each, verdict in zip(texts, left, reader.judge(texts, left, [e.answer for e in left]), strict=True):
            if not verdict.correct and plausible(verdict.extracted, each.answer) and text.strip():
                found[each.id] = Wrong(verdict.extracted, {"answer": verdict.extracted, "solution": text}, own=True)
    pool = [each.answer for each in examples]
    for each in examples if decoys else ():
        drawn = None if each.id in found else draw(0, each.id, each.answer, pool, as_text(each.prompt))
        if drawn is not None:
            seen: dict[ReferenceKind, str] = {kind: wrong_reference(each, kind, drawn.seen) for kind in KINDS}
            found[each.id] = Wrong(drawn.seen, seen, own=False)
    return found


def plausible(extracted: str, gold: str) -> bool:
    """Tell whether what was found in a completion could be told as an answer: a number where the right one is one."""
    return bool(extracted.strip()) and (extracted.isdigit() or not gold.isdigit())


def measure_behaviour(model: Any, tokenizer: Any, task: Task, count: int, seed: int = 0) -> Behaviour:
    """Read ``count`` held-out questions of a base; wrong references are its own. ``seed`` is of the sampling."""
    torch.manual_seed(seed)
    examples = [task.train_example(HELD_OUT, index) for index in range(count)]
    return read_references(model, tokenizer, task, examples, decoys=False)
