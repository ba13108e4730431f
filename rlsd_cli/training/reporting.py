"""Metrics at a service beside metrics.jsonl: Trackio, Weights & Biases, TensorBoard (``log.report_to``)."""

from __future__ import annotations

import os
import sys
from typing import Any

from transformers import TrainerCallback

from rlsd_cli.config.run import RunConfig, dump
from rlsd_cli.runs.directory import RunDir


def set_places(config: RunConfig, run_dir: RunDir) -> None:
    """Tell the services, before the trainer is built, where to put the run; what the user's environment says wins."""
    if config.log.report_to == "wandb":
        os.environ.setdefault("WANDB_PROJECT", config.log.project)
    if config.log.report_to == "tensorboard":
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(run_dir.path / "tensorboard"))


class MetadataCallback(TrainerCallback):
    """Adds the run's configuration to what the service keeps; its own callback has opened the run by then."""

    def __init__(self, trainer: Any, config: RunConfig) -> None:
        self.trainer = trainer
        self.config = config

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Send the configuration."""
        if not state.is_world_process_zero:
            return
        if self.config.log.report_to == "tensorboard":
            writers = (getattr(each, "tb_writer", None) for each in self.trainer.callback_handler.callbacks)
            writer = next(each for each in writers if each is not None)
            writer.add_text("rlsd/config", f"```yaml\n{dump(self.config)}```")
        else:
            service: Any = sys.modules[self.config.log.report_to]
            service.config.update({"rlsd": self.config.model_dump()}, allow_val_change=True)
