"""What is found in another tool's logs, before it becomes a run directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rollout:
    """One completion. What the log does not say is None; texts that it does not hold are empty."""

    step: int
    prompt: str
    completion: str
    answer: str = ""
    extracted: str = ""
    reward: float | None = None
    correct: bool | None = None
    advantage: float | None = None


@dataclass
class Log:
    """The logs of one run.

    Attributes:
        metrics: By step, under the names of docs/metrics.md where there is one.
        rollouts: Yields those of the training, in the order in which they were written.
        evaluations: The same of questions that were not trained on.
        settings: Parts of a configuration, as far as the log says them.
        steps: Planned steps, if known.
        sources: Files that were read.
        skipped: What could not be read, and how often.
    """

    metrics: dict[int, dict[str, Any]] = field(default_factory=dict)
    rollouts: Callable[[], Iterator[Rollout]] = lambda: iter(())
    evaluations: Callable[[], Iterator[Rollout]] = lambda: iter(())
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
    sources: list[Path] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, step: int, record: dict[str, Any]) -> None:
        """Add metrics of a step; what is there already is replaced, as by a resumed run."""
        if record:
            self.metrics.setdefault(step, {}).update(record)
