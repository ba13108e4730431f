"""Text benchmarks as data: a YAML file each in text/, read by the one loader of this module.

A file of one's own is asked for by its path: ``rlsd eval RUN --benchmark mine.yaml --data mine.jsonl``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.base import Benchmark, Question, accuracy_by, lettered, plain_accuracy
from rlsd_cli.records.missing import is_missing
from rlsd_cli.records.nested import split_name, value_at
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.answers import answer_of
from rlsd_cli.verifiers.choice import gold_letter, judge_letter, letter_of_text
from rlsd_cli.verifiers.exact import verify_exact
from rlsd_cli.verifiers.math import verify_math
from rlsd_cli.verifiers.numeric import verify_numeric
from rlsd_cli.verifiers.roles import verify_roles
from rlsd_cli.verifiers.verdict import Verdict

FOLDER = Path(__file__).with_name("text")
VERIFIERS: dict[str, Callable[[str, str], Verdict]] = {
    "math": verify_math,
    "exact": verify_exact,
    "numeric": verify_numeric,
    "roles": verify_roles,
}


class Part(BaseModel):
    """A part of a benchmark's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextColumns(Part):
    """Which column holds what; a field of a struct has a dotted name."""

    question: str
    answer: str | None = None
    id: str | None = None


class Options(Part):
    """Options in one column (a list), or the right one and the wrong ones in columns of their own, then shuffled."""

    column: str | None = None
    right: str | None = None
    wrong: tuple[str, ...] = ()

    @model_validator(mode="after")
    def one_form(self) -> Options:
        """Check that one of the two forms is given."""
        if (self.column is None) == (self.right is None or not self.wrong):
            raise ValueError("give `column`, or `right` with `wrong`")
        return self


class SamplingDefaults(Part):
    """Options of `rlsd eval`, as the official harness has them."""

    samples: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(gt=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None


class TextBenchmark(Part):
    """A text benchmark: where it lies, how it is asked, how it is judged (docs/benchmarks.md).

    Attributes:
        name: How it is asked for.
        hub: Id of the hub data set, with its ``subset`` (configuration) and ``split``.
        questions: How many it has.
        columns: Which column holds what.
        options: Of multiple choice.
        by: Columns by whose values the accuracy is broken down.
        instruction: The end of the prompt.
        verifier: What judges.
        sampling: How completions are drawn where the user says nothing.
        protocol: Which number is the official one, and where that is said.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    hub: str
    subset: str | None = None
    split: str = "test"
    questions: int | None = None
    columns: TextColumns
    options: Options | None = None
    by: tuple[str, ...] = ()
    instruction: str = ""
    verifier: Literal["math", "exact", "numeric", "choice", "roles"]
    sampling: SamplingDefaults = SamplingDefaults()
    protocol: str = ""

    @model_validator(mode="after")
    def whole(self) -> TextBenchmark:
        """Check that there is an answer, and options where letters are judged."""
        if (self.verifier == "choice") != (self.options is not None):
            raise ValueError("`verifier: choice` and `options` go together")
        if self.columns.answer is None and (self.options is None or self.options.right is None):
            raise ValueError("`columns.answer` is missing")
        return self

    def needed(self) -> tuple[str, ...]:
        """Return the columns that a copy must have."""
        options = self.options or Options(column="-")
        names = (self.columns.question, self.columns.answer, options.column, options.right, *options.wrong)
        return tuple(name.split(".")[0] for name in names if name and name != "-")

    def read(self, row: Mapping[str, Any]) -> Question:
        """Return a row as a question; the id is '' where the copy has none."""
        text, options = str(field_of(row, self.columns.question)).strip(), self.shown(row)
        answer = answer_of(field_of(row, self.columns.answer))
        letter = None
        if self.options and self.options.right:
            answer = str(row[self.options.right]).strip()
            letter = letter_of_text(answer, options)
        elif options:
            letter = gold_letter(answer, options)
        name = field_of(row, self.columns.id)
        choice = {"options": options, "letter": letter, "multiple_choice": True} if self.options else {}
        return Question(
            id="" if is_missing(name) else str(name),
            text=text + ("\n" + lettered(options) if options else ""),
            answer=answer,
            images=(),
            meta={**choice, **{key: str(field_of(row, key)) for key in self.by}},
        )

    def shown(self, row: Mapping[str, Any]) -> list[str]:
        """Return the options in the order in which they are shown; right and wrong ones shuffled by the question."""
        if self.options is None:
            return []
        if self.options.column:
            return [str(each).strip() for each in field_of(row, self.options.column) or []]
        names = (self.options.right, *self.options.wrong)
        found = [str(row[name]).strip() for name in names if name and not is_missing(row.get(name))]
        random.Random(f"rlsd-options-{field_of(row, self.columns.question)}").shuffle(found)
        return found

    def judge(self, completion: str, example: Example) -> Verdict:
        """Judge a completion by the file's verifier."""
        if self.options:
            return judge_letter(completion, example.meta["letter"], example.meta["options"])
        return VERIFIERS[self.verifier](completion, example.answer)

    def metrics(self, examples: Sequence[Example], correct: Sequence[bool]) -> dict[str, float]:
        """Return the accuracy over all questions, and by the values of the columns in ``by``."""
        found = plain_accuracy(examples, correct)
        for key in self.by:
            found |= accuracy_by(examples, correct, key)
        return found

    def benchmark(self) -> Benchmark:
        """Return the benchmark as the others are."""
        return Benchmark(
            name=self.name,
            hub=self.hub,
            split=self.split,
            subset=self.subset,
            columns=self.needed(),
            instruction=self.instruction,
            read=self.read,
            judge=self.judge,
            metrics=self.metrics,
            sampling=self.sampling.model_dump(exclude_none=True),
            protocol=self.protocol,
        )


def field_of(row: Mapping[str, Any], name: str | None) -> Any:
    """Return the value of a column or of a field in it, None where there is none."""
    place = split_name(name, list(row)) if name else None
    return value_at(row[place[0]], place[1]) if place else None


def read_file(path: Path) -> TextBenchmark:
    """Return the benchmark that a file describes.

    Raises:
        UserError: The file can't be read, is no YAML, or describes none.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TextBenchmark.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the benchmark file {path} cannot be read: {reason}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "it"
        raise UserError(f"{path} describes no benchmark: {key}: {first['msg']} (docs/benchmarks.md).") from None


@cache
def text_benchmarks() -> dict[str, Benchmark]:
    """Return the text benchmarks that come with the suite, by name."""
    found = (read_file(path).benchmark() for path in sorted(FOLDER.glob("*.yaml")))
    return {each.name: each for each in found}


@cache
def own_benchmark(path: str) -> Benchmark:
    """Return the benchmark of a file of the user's.

    Raises:
        UserError: The file describes none.
    """
    return read_file(Path(path).expanduser()).benchmark()
