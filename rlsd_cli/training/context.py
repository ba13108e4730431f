"""What an arm's trainer is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from rlsd_cli.config.run import RunConfig
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.tasks.base import Task


@dataclass
class RunContext:
    """The parts of one run, ready to be wired into a trainer."""

    config: RunConfig
    run_dir: RunDir
    task: Task
    model: Any
    tokenizer: Any
    dataset: Dataset
