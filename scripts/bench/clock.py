"""A trainer's step taken apart: seconds by part, and the shapes it computed on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback

# Methods of the trainer and of its teachers' passes, and the part of the step to which their own time, without that of
# parts within, belongs.
METHODS = {"_generate_and_score_completions": "rollout", "_record": "other", "compute_loss": "student"}
PASSES = {"prepare": "teacher", "logps": "teacher", "hidden": "teacher"}
PARTS = ("rollout", "student", "teacher", "update", "other")


class Clock(TrainerCallback):
    """Times each step of a trainer; works for TRL's own trainers as for ours.

    ``update`` is the backward pass, the clipping and the optimiser; ``other`` what remains: data, records, logs.
    With ``cpu_time`` the process's CPU seconds are taken in place of wall seconds: with one thread the same on an
    idle machine, and steadier on a busy one.
    """

    def __init__(self, trainer: Any, cpu_time: bool = False) -> None:
        self._now = time.process_time if cpu_time else time.perf_counter
        self.steps: list[dict[str, float]] = []
        self.shapes: dict[str, int] = {}
        self._seconds: dict[str, float] = defaultdict(float)
        self._within: list[float] = []
        self._started = 0.0
        for owner, methods in ((trainer, METHODS), (getattr(trainer, "passes", None), PASSES)):
            for name, part in methods.items():
                if hasattr(owner, name):
                    self._time(owner, name, part)
        self._time(trainer.accelerator, "backward", "update")
        self._time(trainer.accelerator, "clip_grad_norm_", "update")
        self._watch_shapes(trainer)
        trainer.add_callback(self)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the block's time to a part, less that of parts within."""
        start = self._now()
        self._within.append(0.0)
        try:
            yield
        finally:
            spent = self._now() - start
            self._seconds[name] += spent - self._within.pop()
            if self._within:
                self._within[-1] += spent

    def _time(self, owner: Any, name: str, part: str) -> None:
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(part):
                return method(*args, **kwargs)

        setattr(owner, name, timed)

    def _watch_shapes(self, trainer: Any) -> None:
        compute_loss = trainer.compute_loss

        def watched(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            for name in ("prompt_ids", "completion_ids", "teacher_prompt_ids", "input_ids"):
                if name in inputs:
                    self.shapes["rows"], self.shapes[name] = inputs[name].shape
            return compute_loss(model, inputs, *args, **kwargs)

        trainer.compute_loss = watched

    def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **kwargs: Any) -> None:
        """Time the optimiser, which exists from now on."""
        self._time(optimizer, "step", "update")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start a step."""
        self._seconds.clear()
        self._started = self._now()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """End a step."""
        if logs is None or "loss" not in logs:
            return
        total = self._now() - self._started
        parts = {name: self._seconds[name] for name in PARTS}
        parts["other"] += total - sum(parts.values())
        self.steps.append({"step": total, **parts})
