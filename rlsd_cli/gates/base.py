"""The gates: what a base must do so that the paper's claims can be true or false on it.

Those here are measured on the base itself, in a minute or two. The gates that need training are measured by
scripts/testbed/training_gates.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rlsd_cli.gates.behaviour import Behaviour, measure_behaviour
from rlsd_cli.gates.directions import Directions, directions
from rlsd_cli.gates.floor import Floor, measure_floor
from rlsd_cli.tasks.arithmetic import ArithmeticTask

EVIDENCE = ("evidence_matters", "flipped_below")
NO_ANSWER = "no question has an answer to show"
NO_WRONG = "no question has a wrong answer of its own, nor can one of the right one's form be made"


@dataclass(frozen=True)
class Measured:
    """What the gates look at."""

    behaviour: Behaviour
    floor: Floor | None = None
    directions: Directions | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the numbers; null where one was not measured."""
        return {
            "behaviour": self.behaviour.as_json(),
            "floor": {**asdict(self.floor), "share": self.floor.share} if self.floor else None,
            "directions": asdict(self.directions) if self.directions else None,
        }


@dataclass(frozen=True)
class Gate:
    """One gate with its measurement.

    Attributes:
        text: What is asked.
        bound: The least value, or the most where ``at_most``.
        value: As measured; None where it was not.
        without: What can't be judged where the gate is not met.
        at_most: Whether the bound is an upper one.
        claims: Keys of claims (experiments/claims/) that can't be judged where the gate is not met.
        why: Why it was not measured.
    """

    text: str
    bound: float
    value: float | None
    without: str
    at_most: bool = False
    claims: tuple[str, ...] = ()
    why: str = ""

    @property
    def met(self) -> bool:
        """Whether the value is within the bound; not where there is none."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def asked(self) -> str:
        """The bound as text."""
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"

    @property
    def shown(self) -> str:
        """The value as text, or why there is none."""
        return f"not measured: {self.why}" if self.value is None else f"{self.value:.3f}"


def measure_base(
    model: Any, tokenizer: Any, task: ArithmeticTask, *, questions: int = 200, batches: int = 2, seed: int = 0
) -> Measured:
    """Measure a base.

    Args:
        model: A bare transformers model.
        tokenizer: Its tokenizer.
        task: The questions that it was pre-trained on.
        questions: For its behaviour; a fifth of them for the floor.
        batches: Of 8 groups of 8, on which directions are compared.
        seed: Of the sampling.
    """
    return Measured(
        measure_behaviour(model, tokenizer, task, questions, seed),
        measure_floor(model, tokenizer, task, questions=max(2, questions // 5), seed=seed),
        directions(model, tokenizer, task, batches=batches, prompts=8, group_size=8, continuations=8, seed=seed),
    )


def gates(measured: Measured) -> list[Gate]:
    """Return the gates with their values."""
    rows = measured.behaviour.rows

    def share(row: str, what: str) -> float | None:
        if row not in rows or not rows[row].n:
            return None
        return float(getattr(rows[row], what)) / rows[row].n

    given, closed = share("answer", "right"), share("closed", "right")
    return [
        Gate(
            "right with the right answer given, minus closed-book",
            0.25,
            None if given is None or closed is None else given - closed,
            "anything about distilling from an answer",
            claims=EVIDENCE,
            why=NO_ANSWER,
        ),
        Gate(
            "says a plausible wrong answer that it is given",
            0.5,
            share("wrong_answer", "followed"),
            "whether the content of an answer matters",
            claims=(*EVIDENCE, "blame_at_the_error"),
            why=NO_WRONG,
        ),
        Gate(
            "follows a wrong solution",
            0.9,
            share("wrong_solution", "followed"),
            "whether the content of a solution matters",
            claims=("kl_stagnates",),
            why="no question has a solution that could be a wrong one",
        ),
        Gate(
            "mutual information as a share of OPSD's loss, r = solution",
            0.3,
            measured.floor.share if measured.floor else None,
            "the floor of OPSD's loss (Theorem 1)",
            claims=("kl_stagnates",),
            why="the task has one reference of each kind, so there is no P(r|x) to take it under",
        ),
        Gate(
            "cosine with GRPO of credit on the deciding tokens, one batch",
            0.7,
            measured.directions.deciding if measured.directions else None,
            "whether credit for tokens gains anything: use micro-credit",
            at_most=True,
            claims=("rlsd_above", "rlsd_above_twice", *EVIDENCE),
            why="the task does not say which tokens decide",
        ),
    ]
