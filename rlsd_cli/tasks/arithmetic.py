"""The embedded testbed: chained arithmetic modulo 11 with a written-out solution.

A question is evaluated from left to right, every result modulo 11. Before each step stand words that mean
nothing, drawn evenly: text has a freedom that cannot change the answer.

    question 7 + 9 * 3 - 2 ?
    so 7 + 9 = 5 ; hence 5 * 3 = 4 ; now 4 - 2 = 2 ; answer 2

The modulus is prime on purpose: modulo a composite number wrong steps cancel so often that most
right answers of a weak model have wrong derivations, and the reward teaches noise.

Each number is one token and each word is one token, so a model of a few hundred thousand
parameters learns the task in minutes and a rollout is 30 to 100 tokens long. A
teacher's (open-book) prompt puts a reference before the question:

    reference answer 2 question 7 + 9 * 3 - 2 ?
    reference so 7 + 9 = 5 ; then 5 * 3 = 4 ; thus 4 - 2 = 2 ; answer 2 question 7 + 9 ...

In the base model's open-book training text a step cites its source with a fixed
probability ("the reference says so 7 + 9 = 5 ;"); closed-book text never does. That
habit is built in on purpose: see docs/testbed.md.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rlsd_cli.tasks.base import Example, ReferenceKind
from rlsd_cli.verifiers.verdict import Verdict

MODULUS = 11
OPERATIONS = ("+", "-", "*")
CITATION = "the reference says"
FILLERS = ("so", "then", "now", "next", "thus", "hence", "well", "here", "still", "also", "yet", "again")
SPECIAL_TOKENS = ("<pad>", "<eos>", "<unk>")
WORDS = (*FILLERS, "question", "reference", "the", "says", "answer", "note", "=", ";", "?", *OPERATIONS)
VOCABULARY = (*SPECIAL_TOKENS, *WORDS, *(str(n) for n in range(MODULUS)))

SUITE_SEED = 7_000_000  # streams of training seeds never reach it
SUITE_SIZE = 200


@dataclass(frozen=True)
class Wording:
    """The words before each step that mean nothing: ``words`` of them, each one of the first ``choices`` fillers."""

    words: int = 1
    choices: int = 8

    def draw(self, rng: random.Random) -> tuple[str, ...]:
        """Draw the words of one step, evenly and independently."""
        return tuple(rng.choice(FILLERS[: self.choices]) for _ in range(self.words))


@dataclass(frozen=True)
class Step:
    """One written step: its words, and ``left symbol right = result``, which may be wrong."""

    words: tuple[str, ...]
    left: int
    symbol: str
    right: int
    result: int

    def __str__(self) -> str:
        """Write the step."""
        return " ".join((*self.words, f"{self.left} {self.symbol} {self.right} = {self.result}"))

    def other_route(self) -> Step:
        """Return the same step by another route: operands swapped, or minus as plus of the complement."""
        if self.symbol == "-":
            return Step(self.words, self.left, "+", -self.right % MODULUS, self.result)
        return Step(self.words, self.right, self.symbol, self.left, self.result)


def write(steps: Sequence[Step]) -> str:
    """Write a derivation: its steps, and the last result as the answer.

    >>> write([Step(("so",), 7, "+", 9, 5), Step(("hence",), 5, "*", 3, 4)])
    'so 7 + 9 = 5 ; hence 5 * 3 = 4 ; answer 4'
    """
    return " ; ".join([*map(str, steps), f"answer {steps[-1].result}"])


@dataclass(frozen=True)
class Spec:
    """How the questions of one stream or suite are drawn."""

    operations: int = 4
    symbols: tuple[str, ...] = OPERATIONS
    low: int = 0
    high: int = MODULUS - 1
    distractor: bool = False


def suite_specs(operations: int) -> dict[str, Spec]:
    """Return how the held-out suites of a task of so many operations are drawn."""
    return {
        "chain": Spec(operations),
        "long": Spec(operations + 1),
        "no_plus": Spec(operations, symbols=("-", "*")),
        "large": Spec(operations, low=MODULUS // 2),
        "distractor": Spec(operations, distractor=True),
    }


def apply(left: int, symbol: str, right: int) -> int:
    """Return ``left symbol right`` modulo 11."""
    return {"+": left + right, "-": left - right, "*": left * right}[symbol] % MODULUS


def derive(values: Sequence[int], symbols: Sequence[str], wording: Wording, rng: random.Random) -> list[Step]:
    """Return the right derivation of a question, with words drawn from ``rng``."""
    steps, result = [], values[0]
    for symbol, value in zip(symbols, values[1:], strict=True):
        steps.append(Step(wording.draw(rng), result, symbol, value, apply(result, symbol, value)))
        result = steps[-1].result
    return steps


def make_example(rng: random.Random, spec: Spec, example_id: str, wording: Wording = Wording(0)) -> Example:
    """Draw one question with its solution, by two routes.

    >>> make_example(random.Random(1), Spec(operations=2), "x").prompt
    'question 2 - 9 * 1 ?'
    """
    values = [rng.randint(spec.low, spec.high) for _ in range(spec.operations + 1)]
    symbols = [rng.choice(spec.symbols) for _ in range(spec.operations)]
    question = " ".join(
        [str(values[0]), *(f"{symbol} {value}" for symbol, value in zip(symbols, values[1:], strict=True))]
    )
    note = f"note {rng.randint(0, MODULUS - 1)} {rng.choice(OPERATIONS)} {rng.randint(0, MODULUS - 1)} ; "
    steps = derive(values, symbols, wording, rng)
    return Example(
        id=example_id,
        prompt=f"question {note if spec.distractor else ''}{question} ?",
        answer=str(steps[-1].result),
        solution=write(steps),
        other_route=write([step.other_route() for step in derive(values, symbols, wording, rng)]),
        meta={"values": values, "symbols": symbols},
    )


class ArithmeticTask:
    """Chained modular arithmetic; see the module docstring.

    Args:
        operations: Steps of a training question.
        wording: The words before each step.
    """

    name = "arithmetic"
    step_separator = ";"

    def __init__(self, operations: int = 4, wording: Wording = Wording()) -> None:
        self.spec = Spec(operations=operations)
        self.wording = wording
        # A step is 6 tokens and its words, and 3 more when it cites; `answer n <eos>` adds 3 or 6; the suite
        # `long` has a step more.
        self.max_completion_tokens = (9 + wording.words) * (operations + 1) + 6

    def train_example(self, seed: int, index: int) -> Example:
        """Return training question ``index`` of stream ``seed``: fresh questions, no epochs."""
        rng = random.Random(f"arithmetic-train-{seed}-{index}")
        return make_example(rng, self.spec, f"train-{seed}-{index}", self.wording)

    def suites(self) -> dict[str, list[Example]]:
        """Return the five held-out suites of 200 questions each: other lengths, operations, ranges, distractors."""
        return {
            name: [
                make_example(random.Random(f"arithmetic-{name}-{SUITE_SEED + i}"), spec, f"{name}-{i}", self.wording)
                for i in range(SUITE_SIZE)
            ]
            for name, spec in suite_specs(self.spec.operations).items()
        }

    def references(self, example: Example, kind: ReferenceKind, count: int) -> list[str]:
        """Return ``count`` references of a kind: the same right steps with words of their own; the one answer."""
        if kind == "answer":
            return [example.answer] * count
        rng = random.Random(f"arithmetic-{kind}-{example.id}")
        found = []
        for _ in range(count):
            steps = derive(example.meta["values"], example.meta["symbols"], self.wording, rng)
            found.append(write([step.other_route() for step in steps] if kind == "other_route" else steps))
        return found

    def teacher_prompt(self, prompt: str, reference: str) -> str:
        """Put the reference before the question; a bare number is introduced as the answer."""
        text = f"answer {reference}" if reference.isdigit() else reference
        return f"reference {text} {prompt}"

    def feedback(self, prompt: str, completion: str, verdict: Verdict) -> str:
        """Return what the first wrong step should have been, in the words of a derivation; '' of a right completion.

        A completion whose steps are all right and whose answer is not is told the answer.
        """
        if verdict.correct:
            return ""
        question = re.findall(r"\d+|[-+*]", prompt.rpartition(" ; ")[2])  # behind the note of a distractor
        values, symbols = [int(number) for number in question[::2]], question[1::2]
        right = derive(values, symbols, Wording(0), random.Random(0))
        written = completion.split(" ; ")
        for place, step in enumerate(right):
            if place >= len(written) or not written[place].endswith(str(step)):
                return str(step)
        return f"answer {right[-1].result}"

    def verify(self, completion: str, answer: str, example_id: str = "") -> Verdict:
        """Compare the number after the last ``answer`` with the gold answer, exactly."""
        words = completion.split()
        extracted = ""
        for word, following in pairwise(words):
            if word == "answer":
                extracted = following
        return Verdict(correct=extracted == answer, extracted=extracted)

    def first_error(self, completion: str, example: Example) -> int | None:
        """Return the first step of a completion that is wrong, from 0; steps end at `step_separator`.

        A step is right if it gives the result that the question's own step has, whatever words stand before it. A
        completion with all steps right and another answer is wrong in its last part, the answer. None of a right one.
        """
        rng = random.Random(0)  # words do not matter here
        right = derive(example.meta["values"], example.meta["symbols"], self.wording, rng)
        parts = completion.split(f" {self.step_separator} ")
        for place, part in enumerate(parts):
            _, equals, result = part.rpartition("= ")
            if place >= len(right):
                return None if self.verify(completion, example.answer).correct else place
            if not equals or result.split()[:1] != [str(right[place].result)]:
                return place
        return None if self.verify(completion, example.answer).correct else len(parts) - 1

    def reward(self, completion: str, verdict: Verdict) -> float:
        """Return 1 for a right answer and 0 for a wrong one."""
        return float(verdict.correct)
