"""From the ``task`` section to a task."""

from __future__ import annotations

from rlsd_cli.config.outside import load_outside
from rlsd_cli.config.run import TASKS, RunConfig, TaskConfig
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.arithmetic import ArithmeticTask, Wording
from rlsd_cli.tasks.base import Task
from rlsd_cli.tasks.rewards import weighted
from rlsd_cli.tasks.templates import with_template

NEEDED = ("train_example", "suites", "teacher_prompt", "verify", "reward", "name", "max_completion_tokens")


def task_of(config: RunConfig) -> Task:
    """Return a run's task, which writes the teacher's prompt as the run says.

    Raises:
        UserError: As `load_task` and `with_template`.
    """
    return with_template(load_task(config.task), config)


def load_task(config: TaskConfig) -> Task:
    """Return the configured task, with the configured reward where there is one.

    Raises:
        UserError: A data set or generator is missing or not of the described shape; a class or function of the
            user's own can't be imported or made.
    """
    task = _plain(config)
    if config.reward:
        task.reward = weighted(config.reward)  # type: ignore[method-assign, assignment]
    return task


def _plain(config: TaskConfig) -> Task:
    if config.name == "dataset":
        from rlsd_cli.tasks.dataset import DatasetTask

        return DatasetTask(config.data)
    if config.name == "reasoning_gym":
        from rlsd_cli.tasks.reasoning import ReasoningTask

        return ReasoningTask(config.gym)
    if config.name not in TASKS:
        return _outside(config)
    return ArithmeticTask(config.operations, Wording(config.words, config.word_choices))


def _outside(config: TaskConfig) -> Task:
    made = load_outside(config.name, "the task")
    try:
        task: Task = made(**config.options)
    except (TypeError, ValueError) as error:
        raise UserError(f"the task '{config.name}' can't be made with task.options: {error}.") from error
    if missing := [name for name in NEEDED if not hasattr(task, name)]:
        raise UserError(
            f"the task '{config.name}' lacks {', '.join(missing)}: docs/adding-a-task.md says what it needs."
        )
    return task
