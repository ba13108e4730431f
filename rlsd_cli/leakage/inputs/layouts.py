"""Which column is the completion, the prompt, the answer, the step: named by the user or recognised.

Recognised without a converter:

- run directories of `rlsd train`, and `rlsd eval`'s parquet files;
- TRL's ``completions_NNNNN.parquet`` (step, prompt, completion: texts or chat messages);
- verl's rollout dumps, ``<step>.jsonl`` (input, output, gts, score, step);
- ms-swift's ``completions.jsonl``: a line per step, every column a list (also gen_step);
- lm-eval's and lmms-eval's ``samples_*.jsonl`` (resps, target, with arguments or input);
- VLMEvalKit's tables (question, answer, prediction);
- conversations in one column, ``messages`` or ShareGPT's ``conversations``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from rlsd_cli.errors import UserError, listed
from rlsd_cli.leakage.inputs.records import completions_of, prompt_of, step_of
from rlsd_cli.records import RowError, stem_of
from rlsd_cli.verifiers.answers import answer_of

# In the order of preference; a column of whole conversations only where there is no other.
COMPLETION = (
    *("completion", "completions", "response", "responses", "output", "outputs", "generation", "generations"),
    *("generated_text", "prediction", "predictions", "model_output", "model_response"),
)
CONVERSATION = ("messages", "conversations", "conversation", "dialog")
PROMPT = ("prompt", "prompts", "input", "question", "problem", "instruction", "query", "messages")
ANSWER = ("answer", "gts", "ground_truth", "gold", "target", "reference_answer", "solution", "label")
STEP = ("step", "global_step", "gen_step", "training_step")
REASONING = ("reasoning_content", "reasoning", "thinking", "thoughts", "reasoning_text")
NESTED = ("resps", "filtered_resps")  # requests × repeats, of lm-eval and lmms-eval

_STEP_IN_NAME = re.compile(r"(?:^|step[-_]?|completions_)(\d+)$")


@dataclass(frozen=True)
class Columns:
    """The columns that the user named; None: recognise it. A dot leads into a nested value."""

    completion: str | None = None
    prompt: str | None = None
    answer: str | None = None
    step: str | None = None


@dataclass(frozen=True)
class Entry:
    """One completion of a row."""

    text: str
    prompt: str
    answer: str
    step: int | None


@dataclass(frozen=True)
class Layout:
    """The columns of one file. A step may stand in the file's name."""

    completion: str
    prompt: str | None
    answer: str | None
    step: str | None
    name_step: int | None
    reasoning: str | None = None

    @property
    def nested(self) -> bool:
        """Whether the completions are lm-eval's responses."""
        return self.completion in NESTED

    @property
    def names(self) -> list[str]:
        """The columns to read, without repetition."""
        named = [name for name in (self.completion, self.prompt, self.answer, self.step, self.reasoning) if name]
        return list(dict.fromkeys([*(name.split(".")[0] for name in named), *named, *(["filter"] * self.nested)]))

    def entries(self, row: dict[str, Any]) -> list[Entry]:
        """Return the completions of a row.

        Raises:
            RowError: The row has no such column, or a value is unusable.
        """
        value = looked_up(row, self.completion)
        if value is None and self.completion.split(".")[0] not in row:
            raise RowError(f"there is no column {self.completion!r} in this row")
        count = self.columnar(row, value)
        if count is None:
            return self.plain(row)
        columns = {name: looked_up(row, name) for name in self.names}
        rows = [
            {
                name: column[index] if isinstance(column, list) and len(column) == count else column
                for name, column in columns.items()
            }
            for index in range(count)
        ]
        return [entry for one in rows for entry in self.plain(one)]

    def columnar(self, row: dict[str, Any], value: Any) -> int | None:
        """Return how many rows a row of columns holds (ms-swift), None where it is one row.

        It is one of columns if its step is a list, or if its prompts are a list of
        as many texts or conversations as there are completions.

        Raises:
            RowError: Its columns differ in length.
        """
        if not isinstance(value, list) or self.nested:
            return None
        step = looked_up(row, self.step) if self.step else None
        prompt = looked_up(row, self.prompt) if self.prompt else None
        if isinstance(step, list):
            if len(step) != len(value):
                raise RowError(f"it holds {len(value)} completions and {len(step)} steps")
            return len(value)
        if isinstance(prompt, list) and len(prompt) == len(value) and not isinstance(prompt[0], dict):
            return len(value)
        return None

    def plain(self, row: dict[str, Any]) -> list[Entry]:
        """Return the completions of a row that is one row."""
        value = looked_up(row, self.completion)
        found = [(text, "") for text in generated(value)] if self.nested else completions_of(value)
        prompt = looked_up(row, self.prompt) if self.prompt else ""
        shown = first_argument(prompt) if self.prompt == "arguments" else prompt_of(prompt)
        answer = answer_of(looked_up(row, self.answer)) if self.answer else ""
        step = step_of(looked_up(row, self.step)) if self.step else self.name_step
        thought = looked_up(row, self.reasoning) if self.reasoning else None
        thoughts = thought if isinstance(thought, list) and len(thought) == len(found) else [thought] * len(found)
        return [
            Entry(joined(beside, text), joined(shown, asked), answer, step)
            for (text, asked), beside in zip(found, thoughts, strict=True)
        ]


def looked_up(row: dict[str, Any], name: str) -> Any:
    """Return the value of a column; a dot leads into a nested value; None where there is none."""
    if name in row or "." not in name:
        return row.get(name)
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def joined(first_part: Any, second: str) -> str:
    """Return two texts in one, the first only if it is a text."""
    parts = [first_part] if isinstance(first_part, str) else []
    return "\n".join(part for part in (*parts, second) if part)


def generated(resps: Any) -> list[str]:
    """Return the texts of lm-eval's ``resps`` (requests × repeats).

    Raises:
        RowError: The responses are log-likelihoods.
    """
    texts = [text for request in resps or [] for text in (request if isinstance(request, list) else [request])]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RowError("an lm-eval row of log-likelihoods holds no generated text")
    return texts


def first_argument(arguments: Any) -> str:
    """Return the prompt in lm-eval's ``arguments``: ``{"gen_args_0": {"arg_0": …}}``, or ``[[prompt, …]]``."""
    if isinstance(arguments, dict):
        arguments = [list(entry.values()) if isinstance(entry, dict) else [entry] for entry in arguments.values()]
    while isinstance(arguments, list) and arguments and not isinstance(arguments[0], dict):
        arguments = arguments[0]
    return prompt_of(arguments)


def recognise(names: Iterable[str], columns: Columns, file: PurePath) -> Layout:
    """Return the layout of a file with these columns.

    Raises:
        UserError: A named column is missing, or no column is known to hold completions.
    """
    there = list(names)
    for wanted in (columns.completion, columns.prompt, columns.answer, columns.step):
        if wanted is not None and wanted not in there and wanted.split(".")[0] not in there:
            raise UserError(f"{file} has no column {wanted!r}: it has {listed(there)}.")
    match = _STEP_IN_NAME.search(stem_of(file))
    name_step = int(match.group(1)) if match else None
    step = columns.step or first(STEP, there)
    responses = "resps" if "resps" in there and {"arguments", "doc", "doc_id", "target"} & set(there) else None
    completion = columns.completion or responses or first(COMPLETION, there) or first(CONVERSATION, there)
    if completion is None:
        raise UserError(
            f"{file} has none of the columns {', '.join((*COMPLETION, *CONVERSATION))}: name the column with --column "
            f"(it has {listed(there)})."
        )
    nested = completion in NESTED
    others = [name for name in there if name != completion]
    prompt = columns.prompt or first(("arguments", *PROMPT) if nested else PROMPT, others)
    return Layout(
        completion=completion,
        prompt=prompt,
        answer=columns.answer or first(("target",) if nested else ANSWER, others),
        step=step,
        name_step=None if nested else name_step,
        reasoning=None if nested or completion in CONVERSATION else first(REASONING, others),
    )


def first(candidates: Iterable[str], names: list[str]) -> str | None:
    """Return the first candidate that is among ``names``."""
    return next((name for name in candidates if name in names), None)
