"""From the ``task`` section to a task."""

from __future__ import annotations

from rlsd_cli.config.run import TaskConfig
from rlsd_cli.tasks.arithmetic import ArithmeticTask, Wording
from rlsd_cli.tasks.base import Task


def load_task(config: TaskConfig) -> Task:
    """Return the configured task.

    Raises:
        UserError: A data set or generator is missing or not of the described shape.
    """
    if config.name == "dataset":
        from rlsd_cli.tasks.dataset import DatasetTask

        return DatasetTask(config.data)
    if config.name == "reasoning_gym":
        from rlsd_cli.tasks.reasoning import ReasoningTask

        return ReasoningTask(config.gym)
    return ArithmeticTask(config.operations, Wording(config.words, config.word_choices))
