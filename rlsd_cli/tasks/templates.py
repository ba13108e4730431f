"""The teacher's prompt in the user's own words: ``teacher.template``, or a column of ready prompts.

A template is the text of the last user's turn. Its fields: ``reference`` (what the view shows), ``prompt`` (the
student's text of that turn), ``question`` (the same without the task's instruction), ``instruction``, and of a data set
every column whose name is a plain word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rlsd_cli.config.layers import nearest
from rlsd_cli.config.run import RunConfig
from rlsd_cli.config.templates import fields_of
from rlsd_cli.errors import UserError, listed
from rlsd_cli.tasks.base import Example, Task
from rlsd_cli.tasks.messages import as_text

OWN = ("reference", "question", "prompt", "instruction")
Fields = Mapping[str, Any]


class Rowed(Protocol):
    """A task whose questions are rows of a table."""

    def check_filled(self, column: str) -> None:
        """Refuse a column that is empty in some training question's row."""
        ...

    def template_fields(self) -> list[str]:
        """Return the names of the columns."""
        ...

    def template_values(self, example: Example, names: list[str]) -> dict[str, Any]:
        """Return the values of columns in the row of a training question, and the bare ``question``."""
        ...


def open_book(task: Task, prompt: Any, reference: str, fields: Fields | None = None) -> Any:
    """Return the open-book prompt of a task, with the fields of the question's row where a template names some."""
    return task.teacher_prompt(prompt, reference, fields) if fields else task.teacher_prompt(prompt, reference)  # type: ignore[call-arg]


def fields_in_row(task: Task, example: Example) -> dict[str, Any]:
    """Return what the task's template needs of an example's row; {} where it needs nothing."""
    found = getattr(task, "row_fields", None)
    return found(example) if found else {}


def with_template(task: Task, config: RunConfig) -> Task:
    """Give a task the run's own way to write the teacher's prompt, where the configuration has one.

    Raises:
        UserError: A field or column is none of the task's, or it shows the truth where the teacher has decoys.
    """
    template, column = config.teacher.template, config.teacher.prompt_column
    if template is None and column is None:
        return task
    rowed: Any = task if hasattr(task, "template_fields") else None
    columns = [name for name in (rowed.template_fields() if rowed else []) if name.isidentifier() and name not in OWN]
    key = "template" if column is None else "prompt_column"
    if column is not None and rowed is None:
        raise UserError(
            f"teacher.prompt_column is for a data set, and the task is '{task.name}': use teacher.template."
        )
    wanted = fields_of(template) if template is not None else [str(column)]
    known = [*OWN, *columns] if template is not None else rowed.template_fields()
    for name in wanted:
        if name not in known:
            raise UserError(
                f"teacher.{key} names '{name}', which there is not{nearest(name, known)}; there are: {listed(known)}."
            )
    if column is not None:
        rowed.check_filled(column)
    of_row = [name for name in wanted if name not in OWN]
    if of_row and config.leakage.decoy_share:
        raise UserError(
            f"teacher.{key} shows the column '{of_row[0]}', which knows nothing of decoys: name {{reference}} alone, "
            "or leave leakage.decoy_share out."
        )

    def row_fields(example: Example) -> dict[str, Any]:
        return rowed.template_values(example, of_row)

    def teacher_prompt(prompt: Any, reference: str, fields: Fields | None = None) -> Any:
        found = fields or {}
        if column is not None:
            ready = found.get(column, "")
            return ready if isinstance(ready, list) else with_text(prompt, str(ready))
        text = last_text(prompt)
        instruction = getattr(getattr(task, "config", None), "instruction", "") or ""
        bare = text.removesuffix(instruction).rstrip() if instruction else text
        own = {"reference": reference.strip(), "prompt": text, "question": bare, "instruction": instruction}
        return with_text(prompt, str(template).format(**dict.fromkeys(of_row, "") | own | dict(found)))

    if rowed and (of_row or "question" in wanted):
        task.row_fields = row_fields  # type: ignore[attr-defined]
    task.teacher_prompt = teacher_prompt  # type: ignore[method-assign]
    return task


def last_text(prompt: Any) -> str:
    """Return the text of a prompt's last user turn; of a plain text, itself."""
    if isinstance(prompt, str):
        return prompt
    return as_text([next(turn for turn in reversed(prompt) if turn["role"] == "user")])


def with_text(prompt: Any, text: str) -> Any:
    """Return a prompt whose last user turn says something else, behind the same images; the given one is unchanged."""
    if isinstance(prompt, str):
        return text
    place = max(index for index, turn in enumerate(prompt) if turn["role"] == "user")
    content = prompt[place]["content"]
    if not isinstance(content, str):
        text = [*(part for part in content if part["type"] == "image"), {"type": "text", "text": text}]  # type: ignore[assignment]
    return [*prompt[:place], {**prompt[place], "content": text}, *prompt[place + 1 :]]
