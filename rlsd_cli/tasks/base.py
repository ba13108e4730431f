"""What a task is: examples, two kinds of prompt, a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from rlsd_cli.verifiers.verdict import Verdict

ReferenceKind = Literal["answer", "solution", "other_route"]


@dataclass(frozen=True)
class Example:
    """One question with everything that is known about it.

    ``prompt`` is what the student sees (text, or chat messages). ``answer``,
    ``solution`` and ``other_route`` are privileged: only a teacher's prompt may
    contain them. ``images`` are file paths or PIL images for vision tasks.
    """

    id: str
    prompt: Any
    answer: str
    solution: str = ""
    other_route: str = ""
    images: tuple[Any, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)

    def reference(self, kind: ReferenceKind) -> str:
        """Return the privileged text of the given kind; '' where the data set has none."""
        return {"answer": self.answer, "solution": self.solution, "other_route": self.other_route}[kind]


class Task(Protocol):
    """A task family. Items are pure functions of (seed, index), so any can be made again alone."""

    name: str
    max_completion_tokens: int

    def train_example(self, seed: int, index: int) -> Example:
        """Return training example ``index`` of the stream that ``seed`` names."""
        ...

    def suites(self) -> dict[str, list[Example]]:
        """Return the held-out suites by name."""
        ...

    def teacher_prompt(self, prompt: Any, reference: str) -> Any:
        """Return the open-book prompt: the student's prompt with ``reference`` added."""
        ...

    def verify(self, completion: str, answer: str, example_id: str = "") -> Verdict:
        """Judge a completion against the gold answer; some verifiers need the whole example, and find it by its id."""
        ...

    def reward(self, completion: str, verdict: Verdict) -> float:
        """Return the reward of a judged completion."""
        ...
