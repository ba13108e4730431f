"""What happens beside training: metrics on disk, probes, progress, a clean stop on Ctrl-C."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rlsd_cli.errors import UserError
from rlsd_cli.runs.checkpoints import newest_intact
from rlsd_cli.runs.directory import RunDir, append_line, jsonable
from rlsd_cli.training.distributed import on_any, sharding
from rlsd_cli.training.probe import Probe
from rlsd_cli.training.sharded import reshard
from rlsd_cli.training.timer import StepTimer

# Written by the Trainer, and either not a metric of the step or said better elsewhere.
DROPPED = {"epoch", "train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos"}


def way_out(checkpoints_dir: Path) -> str:
    """Return what to do when a run has lost its numbers, and its last good checkpoint (bad ones are not written)."""
    last = newest_intact(checkpoints_dir)
    if last is None:
        return "there is no checkpoint yet; lower train.learning_rate and train again in another --output-dir."
    return (
        f"the last good checkpoint is that of step {last[0]}; lower train.learning_rate, and train again, or go on "
        f"from it in another --output-dir with --set model.path={last[1]}."
    )


class ProbeCallback(TrainerCallback):
    """Probes the policy at its steps and adds the result to the step's metrics.

    Every process probes the same prompts with the same seed, as sharded weights need all of them; under
    ZeRO-3, whose output layer can't be read outside the model's own pass, there is no probe.
    """

    def __init__(self, trainer: Any, probe: Probe, timer: StepTimer) -> None:
        self.trainer = trainer
        self.probe = probe
        self.timer = timer
        self.pending: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write what the untrained policy says, so that samples and credit have a beginning; it is no step's metric."""
        if state.global_step == 0 and sharding(self.trainer.accelerator) == "none":
            self.probe.run(self.trainer.accelerator.unwrap_model(self.trainer.model), 0, state.is_world_process_zero)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Probe when it is due."""
        if self.probe.due(state.global_step) and sharding(self.trainer.accelerator) != "zero3":
            model = self.trainer.accelerator.unwrap_model(self.trainer.model)
            with self.timer.part("probe"):
                self.pending = self.probe.run(model, state.global_step, write=state.is_world_process_zero)
            reshard(model)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Hand the probe's metrics to the line of this step."""
        if logs is not None and "loss" in logs:
            logs.update(self.pending)
            self.pending = {}


class MetricsCallback(TrainerCallback):
    """Appends a line per step to metrics.jsonl and keeps status.json current."""

    def __init__(
        self, run_dir: RunDir, method: str, steps: int, timer: StepTimer, on_step: Callable[[dict[str, Any]], None]
    ) -> None:
        self.run_dir = run_dir
        self.method = method
        self.steps = steps
        self.timer = timer
        self.on_step = on_step
        self.started = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock of the step."""
        self.started = time.perf_counter()
        self.timer.seconds.clear()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Write the line of the step that has ended."""
        if logs is None or "loss" not in logs:
            return
        record = {"step": state.global_step, **{k: v for k, v in logs.items() if k not in DROPPED}}
        record.pop("step_time", None)
        record |= self._times()
        self._stop_on_bad_numbers(record)
        if state.is_world_process_zero:
            append_line(self.run_dir.metrics_file, json.dumps(jsonable(record)))
            self.run_dir.write_status(state="running", step=state.global_step, steps=self.steps)
            self.on_step(record)

    def _times(self) -> dict[str, float]:
        total = time.perf_counter() - self.started
        parts = self.timer.seconds
        update = total - parts["rollout"] - parts["teacher"] - parts["probe"] - parts["continuations"]
        continued = {"time/continuations_s": parts["continuations"]} if parts["continuations"] else {}
        return continued | {
            "time/step_s": total,
            "time/rollout_s": parts["rollout"],
            "time/teacher_s": parts["teacher"],
            "time/update_s": update,
            "time/probe_s": parts["probe"],
        }

    def _stop_on_bad_numbers(self, record: dict[str, Any]) -> None:
        for key in ("loss", "grad_norm"):
            value = record.get(key)
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(
                    f"{self.method}: {key} is {value} at step {record['step']}: {way_out(self.run_dir.checkpoints_dir)}"
                )


class InterruptCallback(TrainerCallback):
    """Ctrl-C (or SIGTERM) once: finish the step, save a checkpoint, leave. Twice: leave at once."""

    def __init__(self) -> None:
        self.interrupted = False
        self.old: dict[int, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.old[number] = signal.signal(number, self._handle)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give the signals back."""
        self.restore()

    def restore(self) -> None:
        """Put the former signal handlers back."""
        for number, handler in self.old.items():
            signal.signal(number, handler)
        self.old = {}

    def _handle(self, number: int, frame: Any) -> None:
        if self.interrupted:
            os._exit(130)
        self.interrupted = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop after this step if any process was asked to."""
        self.interrupted = on_any(self.interrupted, args.device)
        if self.interrupted:
            control.should_save = True
            control.should_training_stop = True
