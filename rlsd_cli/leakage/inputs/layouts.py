"""Which column is the completion, the prompt, the answer, the step: named by the user or recognised.

Recognised without a converter:

- run directories of `rlsd train`, and `rlsd eval`'s parquet files;
- TRL's ``completions_NNNNN.parquet`` (step, prompt, completion: texts or chat messages);
- verl's rollout dumps, ``<step>.jsonl`` (input, output, gts, score, step);
- lm-eval's ``samples_*.jsonl`` (doc, target, arguments, resps, filtered_resps, filter).
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

COMPLETION = ("completion", "completions", "response", "responses", "output", "generation", "generated_text")
PROMPT = ("prompt", "input", "question", "problem", "instruction", "query")
ANSWER = ("answer", "gts", "ground_truth", "gold", "target", "reference_answer")
STEP = ("step", "global_step")
LM_EVAL = {"resps", "arguments", "doc"}

_STEP_IN_NAME = re.compile(r"(?:^|step[-_]?|completions_)(\d+)$")


@dataclass(frozen=True)
class Columns:
    """The columns that the user named; None: recognise it."""

    completion: str | None = None
    prompt: str | None = None
    answer: str | None = None
    step: str | None = None


@dataclass(frozen=True)
class Layout:
    """The columns of one file; `lm_eval` has its own nesting. A step may stand in the file's name."""

    completion: str
    prompt: str | None
    answer: str | None
    step: str | None
    name_step: int | None
    lm_eval: bool = False

    @property
    def names(self) -> list[str]:
        """The columns to read, without repetition."""
        named = [name for name in (self.completion, self.prompt, self.answer, self.step) if name]
        return list(dict.fromkeys([*named, *(["filter"] if self.lm_eval else [])]))

    def fields(self, row: dict[str, Any]) -> tuple[list[str], str, str, int | None]:
        """Return the completions, prompt, answer and step of a row.

        Raises:
            RowError: The row has no such column, or a value is unusable.
        """
        if self.completion not in row:
            raise RowError(f"there is no column {self.completion!r} in this row")
        prompt = row.get(self.prompt) if self.prompt else None
        answer = answer_of(row.get(self.answer)) if self.answer else ""
        step = step_of(row.get(self.step)) if self.step else self.name_step
        if not self.lm_eval:
            return completions_of(row[self.completion]), prompt_of(prompt), answer, step
        return generated(row[self.completion]), first_argument(prompt), answer, step


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
        if wanted is not None and wanted not in there:
            raise UserError(f"{file} has no column {wanted!r}: it has {listed(there)}.")
    match = _STEP_IN_NAME.search(stem_of(file))
    name_step = int(match.group(1)) if match else None
    step = columns.step or first(STEP, there)
    if columns.completion is None and set(there) >= LM_EVAL:
        prompt, answer = columns.prompt or "arguments", columns.answer or first(("target",), there)
        return Layout("resps", prompt, answer, step, None, lm_eval=True)
    completion = columns.completion or first(COMPLETION, there)
    if completion is None:
        raise UserError(
            f"{file} has none of the columns {', '.join(COMPLETION)}: name the column with --column "
            f"(it has {listed(there)})."
        )
    return Layout(
        completion=completion,
        prompt=columns.prompt or first(PROMPT, there),
        answer=columns.answer or first(ANSWER, there),
        step=step,
        name_step=name_step,
    )


def first(candidates: Iterable[str], names: list[str]) -> str | None:
    """Return the first candidate that is among ``names``."""
    return next((name for name in candidates if name in names), None)
