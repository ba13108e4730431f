"""Checkpoints that are known to be whole, with the teachers inside: what the Trainer's own do not have."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rlsd_cli.runs.checkpoints import TEACHER_FILE, mark_complete, remove_before
from rlsd_cli.training.distributed import world_size


class CheckpointCallback(TrainerCallback):
    """Marks a checkpoint as whole after its last file, and keeps the teachers' copies in it.

    The Trainer is told of no limit of checkpoints: it would remove older ones before the new one is marked, and a
    kill between the two would leave none. So they are removed here.

    Its files are read once more for their digests, which of 140 GB takes minutes. With several processes that happens
    beside the training: the others would wait for the first one. The next checkpoint waits for this one's mark.
    """

    def __init__(self, trainer: Any, limit: int | None) -> None:
        self.trainer = trainer
        self.limit = limit
        self.beside = ThreadPoolExecutor(max_workers=1)
        self.marking: Future[None] | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let the former checkpoint be marked before another is written."""
        if state.global_step % args.save_steps == 0:
            self.finish()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait for the last mark."""
        self.finish()

    def finish(self) -> None:
        """Wait until the checkpoint at hand is marked; raises what went wrong with it."""
        marking, self.marking = self.marking, None
        if marking is not None:
            marking.result()

    def _mark(self, directory: Path) -> None:
        mark_complete(directory)
        if self.limit is not None:
            remove_before(directory, self.limit)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Complete the checkpoint that was just written; every process calls this."""
        accelerator = self.trainer.accelerator
        directory = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for teacher in getattr(self.trainer, "teachers", {}).values():
            teacher.save(directory / TEACHER_FILE, accelerator)
        accelerator.wait_for_everyone()
        if args.should_save:
            self.finish()
            self.marking = self.beside.submit(self._mark, directory)
            if world_size() == 1:
                self.finish()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give TRL's SFTTrainer back its count of tokens, which its checkpoints lack; the last log line has it."""
        if hasattr(self.trainer, "_total_train_tokens"):
            counts = (line["num_tokens"] for line in reversed(state.log_history) if "num_tokens" in line)
            self.trainer._total_train_tokens = next(counts, 0)


def load_teachers(trainer: Any, directory: Path) -> None:
    """Give a trainer's teachers the copies in a checkpoint; before it goes on from there."""
    for teacher in getattr(trainer, "teachers", {}).values():
        teacher.load(directory / TEACHER_FILE)
