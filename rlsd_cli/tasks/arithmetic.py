"""The embedded testbed: chained arithmetic modulo 11 with a written-out solution.

A question is evaluated from left to right, every result modulo 11:

    question 7 + 9 * 3 - 12 ?
    7 + 9 = 16 ; 16 * 3 = 14 ; 14 - 12 = 2 ; answer 2

The modulus is prime on purpose: modulo a composite number wrong steps cancel so often that most
right answers of a weak model have wrong derivations, and the reward teaches noise.

Each number is one token and each word is one token, so a model of a few hundred thousand
parameters learns the task in minutes and a rollout is 20 to 40 tokens long. A
teacher's (open-book) prompt puts a reference before the question:

    reference answer 2 question 7 + 9 * 3 - 12 ?
    reference 7 + 9 = 16 ; 16 * 3 = 14 ; 14 - 12 = 2 ; answer 2 question 7 + 9 ...

In the base model's open-book training text a step cites its source with a fixed
probability ("the reference says 7 + 9 = 16 ;"); closed-book text never does. That
habit is built in on purpose: see docs/testbed.md.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.verdict import Verdict

MODULUS = 11
OPERATIONS = ("+", "-", "*")
CITATION = "the reference says"
SPECIAL_TOKENS = ("<pad>", "<eos>", "<unk>")
WORDS = ("question", "reference", "the", "says", "answer", "note", "=", ";", "?", *OPERATIONS)
VOCABULARY = (*SPECIAL_TOKENS, *WORDS, *(str(n) for n in range(MODULUS)))

SUITE_SEED = 7_000_000  # streams of training seeds never reach it
SUITE_SIZE = 200


@dataclass(frozen=True)
class Spec:
    """How the questions of one stream or suite are drawn."""

    operations: int = 4
    symbols: tuple[str, ...] = OPERATIONS
    low: int = 0
    high: int = MODULUS - 1
    distractor: bool = False


SUITES: dict[str, Spec] = {
    "chain": Spec(),
    "long": Spec(operations=5),
    "no_plus": Spec(symbols=("-", "*")),
    "large": Spec(low=MODULUS // 2),
    "distractor": Spec(distractor=True),
}


def apply(left: int, symbol: str, right: int) -> int:
    """Return ``left symbol right`` modulo 11."""
    return {"+": left + right, "-": left - right, "*": left * right}[symbol] % MODULUS


def other_step(left: int, symbol: str, right: int) -> str:
    """Write the same step by another route: operands swapped, or minus as plus of the complement."""
    result = apply(left, symbol, right)
    if symbol == "-":
        return f"{left} + {(MODULUS - right) % MODULUS} = {result}"
    return f"{right} {symbol} {left} = {result}"


def make_example(rng: random.Random, spec: Spec, example_id: str) -> Example:
    """Draw one question with its solution, by two routes.

    >>> make_example(random.Random(0), Spec(operations=2), "x").prompt
    'question 12 - 13 * 1 ?'
    """
    values = [rng.randint(spec.low, spec.high) for _ in range(spec.operations + 1)]
    symbols = [rng.choice(spec.symbols) for _ in range(spec.operations)]
    question = str(values[0])
    result = values[0]
    steps, others = [], []
    for symbol, value in zip(symbols, values[1:], strict=True):
        question += f" {symbol} {value}"
        others.append(other_step(result, symbol, value))
        steps.append(f"{result} {symbol} {value} = {apply(result, symbol, value)}")
        result = apply(result, symbol, value)
    note = f"note {rng.randint(0, MODULUS - 1)} {rng.choice(OPERATIONS)} {rng.randint(0, MODULUS - 1)} ; "
    ending = f" ; answer {result}"
    return Example(
        id=example_id,
        prompt=f"question {note if spec.distractor else ''}{question} ?",
        answer=str(result),
        solution=" ; ".join(steps) + ending,
        other_route=" ; ".join(others) + ending,
        meta={"values": values, "symbols": symbols},
    )


class ArithmeticTask:
    """Chained modular arithmetic; see the module docstring."""

    name = "arithmetic"

    def __init__(self, operations: int = 4) -> None:
        self.spec = Spec(operations=operations)
        # A step is 6 tokens, 9 when it cites; `answer n <eos>` adds 3.
        self.max_completion_tokens = 9 * operations + 6

    def train_example(self, seed: int, index: int) -> Example:
        """Return training question ``index`` of stream ``seed``: fresh questions, no epochs."""
        rng = random.Random(f"arithmetic-train-{seed}-{index}")
        return make_example(rng, self.spec, f"train-{seed}-{index}")

    def suites(self) -> dict[str, list[Example]]:
        """Return the five held-out suites of 200 questions each: other lengths, operations, ranges, distractors."""
        return {
            name: [
                make_example(random.Random(f"arithmetic-{name}-{SUITE_SEED + i}"), spec, f"{name}-{i}")
                for i in range(SUITE_SIZE)
            ]
            for name, spec in SUITES.items()
        }

    def teacher_prompt(self, prompt: str, reference: str) -> str:
        """Put the reference before the question; a bare number is introduced as the answer."""
        text = f"answer {reference}" if reference.isdigit() else reference
        return f"reference {text} {prompt}"

    def verify(self, completion: str, answer: str, example_id: str = "") -> Verdict:
        """Compare the number after the last ``answer`` with the gold answer, exactly."""
        words = completion.split()
        extracted = ""
        for word, following in pairwise(words):
            if word == "answer":
                extracted = following
        return Verdict(correct=extracted == answer, extracted=extracted)

    def reward(self, completion: str, verdict: Verdict) -> float:
        """Return 1 for a right answer and 0 for a wrong one."""
        return float(verdict.correct)
