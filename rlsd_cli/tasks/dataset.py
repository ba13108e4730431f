"""A data set as a task: parquet, JSONL or hub rows with a column mapping (docs/data.md)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rlsd_cli.config.data import DataConfig
from rlsd_cli.errors import UserError
from rlsd_cli.records.json_text import columnar, wrapped
from rlsd_cli.records.missing import is_missing
from rlsd_cli.records.table import Table
from rlsd_cli.tasks.base import Example, ReferenceKind
from rlsd_cli.tasks.images import image_sizes, load_images
from rlsd_cli.tasks.messages import PLACEHOLDER, append_text, checked_turns, images_of, user_message
from rlsd_cli.tasks.official import normal, official_text
from rlsd_cli.tasks.roles import (
    check_prompts,
    column_of,
    kept_rows,
    known_fields,
    reference_text,
    resolve_columns,
    values_of,
)
from rlsd_cli.tasks.source import load_rows
from rlsd_cli.verifiers.answers import answer_of
from rlsd_cli.verifiers.load import load_verifier
from rlsd_cli.verifiers.reward import composite_reward
from rlsd_cli.verifiers.verdict import Verdict

LOOKED_AT = 10_000  # questions between two words on the progress of looking at images
HELD_OUT_SEED = "rlsd-held-out"  # the held-out questions are the same for every training seed


class DatasetTask:
    """Questions of a data set; the training order is a function of the seed, the held-out questions are fixed.

    Raises:
        UserError: The data set, a column or an answer is missing, or nothing is left to train on.
    """

    name = "dataset"

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.max_completion_tokens = config.max_completion_tokens
        self.rows = load_rows(config.path, config.split, config.subset)
        hint = wrapped(self.rows[0]) if len(self.rows) == 1 else ""
        if len(self.rows) == 1 and (columns := columnar(self.rows[0])):
            raise UserError(f"{config.path} cannot be read: {columns}.")
        self.columns = resolve_columns(config, self.rows.column_names, hint, known_fields(self.rows))
        path = Path(config.path).expanduser()
        self.folder = (
            Path(config.image_dir).expanduser() if config.image_dir else path if path.is_dir() else path.parent
        )
        kept = kept_rows(self.rows, self.columns["answer"], config)
        check_prompts(self.rows, kept, self.columns["prompt"], config)
        held_out = 0 if config.held_out_split else config.held_out
        if held_out >= len(kept):
            raise UserError(
                f"{config.path} has {len(kept)} questions and task.data.held_out is {held_out}: "
                "nothing is left to train on; hold out fewer."
            )
        chosen = set(random.Random(HELD_OUT_SEED).sample(kept, held_out))
        self.held_out = [index for index in kept if index in chosen]
        self.training = [index for index in kept if index not in chosen]
        self.types = self.problem_types(kept) if config.reward == "official" else {}
        self.verifier = load_verifier(config.verifier, config.tolerance)
        self.order = lru_cache(maxsize=4)(self.shuffled)

    def problem_types(self, rows: list[int]) -> dict[str, str]:
        """Return the problem type of each question by its id.

        Raises:
            UserError: There is no such column, or one id has two types.
        """
        if "problem_type" not in self.columns:
            raise UserError(
                "task.data.reward=official goes by problem type: name its column with task.data.columns.problem_type."
            )
        found: dict[str, str] = {}
        columns = {role: name for role, name in self.columns.items() if role in ("id", "problem_type")}
        for index in rows:
            values = values_of(self.rows, index, columns, self.config)
            name = question_name(values.get("id"), index)
            if found.setdefault(name, normal(values["problem_type"])) != normal(values["problem_type"]):
                raise UserError(
                    f"the id '{name[:60]}' in {self.config.path} stands for questions of two problem types: "
                    "give each question an id of its own."
                )
        return found

    def shuffled(self, seed: int, epoch: int) -> list[int]:
        """Return the training rows in the order of one pass: every question once per pass, each pass anew."""
        rows = list(self.training)
        random.Random(f"dataset-order-{seed}-{epoch}").shuffle(rows)
        return rows

    def train_example(self, seed: int, index: int) -> Example:
        """Return training question ``index`` of stream ``seed``; passes over the data follow one another."""
        epoch, position = divmod(index, len(self.training))
        return self.example(self.rows, self.order(seed, epoch)[position])

    def check_images(
        self, seed: int, count: int, check: Callable[[list[tuple[int, int]], str], None], say: Callable[[str], None]
    ) -> None:
        """Look at the headers of all images that a run will show.

        Args:
            seed: Of the run.
            count: Of its questions.
            check: Called with the sizes of a row's images and a name of the row.
            say: Told how far it is, where that takes long.

        Raises:
            UserError: An image is missing or no image; or what ``check`` raises.
        """
        column = self.columns.get("images")
        if column is None:
            return
        rows = sorted(self.order(seed, 0)[:count])
        for done, index in enumerate(rows):
            if done and done % LOOKED_AT == 0:
                say(f"looked at the images of {done:,} of {len(rows):,} questions …")
            where = f"row {index} of {self.config.path}"
            bounds = (self.config.min_pixels, self.config.max_pixels)
            value = values_of(self.rows, index, {"images": column}, self.config).get("images")
            if sizes := image_sizes(value, self.folder, where, *bounds):
                check(sizes, where)

    def template_fields(self) -> list[str]:
        """Return what a teacher's template may name of a question's row: its columns."""
        return list(self.rows.column_names)

    def check_filled(self, column: str) -> None:
        """Check that every training question's row has something in a column.

        Raises:
            UserError: One has nothing.
        """
        values = column_of(self.rows, column, self.config)
        if (
            empty := next((row for row in self.training if is_missing(values[row]) or not values[row]), None)
        ) is not None:
            raise UserError(
                f"row {empty} of {self.config.path} is empty in column '{column}' (teacher.prompt_column): fix it."
            )

    def template_values(self, example: Example, names: list[str]) -> dict[str, Any]:
        """Return the values of columns in a training question's row, '' where there is none, and its bare question."""
        index = example.meta["row"]
        found = values_of(self.rows, index, {name: name for name in names}, self.config)
        question = values_of(self.rows, index, {"prompt": self.columns["prompt"]}, self.config)["prompt"]
        bare = {"question": PLACEHOLDER.sub("", question).strip()} if isinstance(question, str) else {}
        return bare | {name: "" if is_missing(value) else value for name, value in found.items()}

    def missing_references(self, kind: ReferenceKind) -> tuple[int, int]:
        """Return (training questions without a reference of a kind, training questions)."""
        column = self.columns.get(kind)
        if column is None:
            return len(self.training), len(self.training)
        filled = [bool(reference_text(value)) for value in column_of(self.rows, column, self.config)]
        return sum(not filled[index] for index in self.training), len(self.training)

    def suites(self) -> dict[str, list[Example]]:
        """Return the held-out questions as the one suite ``held_out``; no suite where none were held out."""
        if not self.config.held_out_split:
            examples = [self.example(self.rows, index) for index in self.held_out]
        else:
            rows = load_rows(self.config.path, self.config.held_out_split, self.config.subset)
            kept = kept_rows(rows, self.columns["answer"], self.config)[: self.config.held_out or None]
            check_prompts(rows, kept, self.columns["prompt"], self.config)
            examples = [self.example(rows, index) for index in kept]
        return {"held_out": examples} if examples else {}

    def example(self, rows: Table, index: int) -> Example:
        """Return row ``index`` as an example, its images loaded.

        Raises:
            UserError: An image is missing or unreadable.
        """
        values = values_of(rows, index, self.columns, self.config)
        images = load_images(
            values.get("images"),
            self.folder,
            f"row {index} of {self.config.path}",
            self.config.min_pixels,
            self.config.max_pixels,
        )
        where = f"row {index} of {self.config.path}"
        prompt = self.student_prompt(self.worded(values, where), images, where)
        return Example(
            id=question_name(values.get("id"), index),
            prompt=prompt,
            answer=answer_of(values["answer"]),
            solution=reference_text(values.get("solution")),
            other_route=reference_text(values.get("other_route")),
            images=images_of(prompt),
            meta={"row": index},
        )

    def worded(self, values: dict[str, Any], where: str) -> Any:
        """Return a row's question, in the order of the official prompts where these are asked for.

        Raises:
            UserError: They are, and the question is no text.
        """
        question = values["prompt"]
        if self.config.prompts == "plain":
            return question
        if not isinstance(question, str):
            raise UserError(f"{where} has chat messages, and task.data.prompts=official words text: set it to plain.")
        return official_text(question, values.get("problem_type"), values.get("options"), self.config.instruction)

    def student_prompt(self, question: Any, images: tuple[Any, ...], where: str = "a row") -> Any:
        """Return the closed-book prompt: the question and the instruction, as messages or as plain text.

        Args:
            question: Text, or messages; of messages the first user turn receives the images.
            images: PIL images.
            where: Names the row in an error.

        Raises:
            UserError: Images or messages meet ``chat: false``, or the question is neither text nor messages.
        """
        after = self.config.instruction if self.config.prompts == "plain" else ""  # official ones have it before
        if not self.config.chat:
            if images or not isinstance(question, str):
                raise UserError(
                    "task.data.chat is false, which is for plain text only: set it to true for this data set."
                )
            return f"{question}\n\n{after}" if after else question
        if isinstance(question, str):
            messages = [user_message(question, images)]
        else:
            messages = checked_turns(question, where)
            first = next(index for index, turn in enumerate(messages) if turn["role"] == "user")
            if images:
                content = messages[first]["content"]
                text = content if isinstance(content, str) else "\n".join(part["text"] for part in content)
                messages[first] = user_message(text, images)
        return append_text(messages, after) if after else messages

    def teacher_prompt(self, prompt: Any, reference: str) -> Any:
        """Return the open-book prompt: the student's, then the reference, then the instruction once more.

        The order and the sense are those of the paper's template (github iie-ycx/RLSD,
        teacher_hint_self_distill.jinja); a bare answer is called a reference solution there too.

        Raises:
            UserError: The reference is empty.
        """
        if not reference.strip():
            raise UserError(
                "a question has no reference of the kind that teacher.reference asks for: "
                "set task.data.columns.solution, or teacher.reference=answer."
            )
        text = (
            f"A reference solution is given here:\n{reference.strip()}\n\n"
            "Once you have understood it, solve the problem yourself, in your own way."
        )
        return append_text(prompt, f"{text} {self.config.instruction}".strip())

    def verify(self, completion: str, answer: str, example_id: str = "") -> Verdict:
        """Judge a completion by the configured verifier."""
        verdict = self.verifier(completion, answer)
        return replace(verdict, kind=self.types.get(example_id, "")) if self.types else verdict

    def reward(self, completion: str, verdict: Verdict) -> float:
        """Return the configured reward of a judged completion: accuracy, or 0.9 accuracy + 0.1 format."""
        composite = self.config.reward == "composite" or (self.config.reward == "official" and verdict.kind == "math")
        return composite_reward(completion, verdict) if composite else float(verdict.correct)


def question_name(value: Any, row: int) -> str:
    """Return the id of a question: what its row says, or the row's number."""
    return str(row if is_missing(value) else value)
