"""A data set as a task: parquet, JSONL or hub rows with a column mapping (docs/data.md)."""

from __future__ import annotations

import random
from collections.abc import Callable
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
from rlsd_cli.tasks.messages import append_text, checked_turns, images_of, user_message
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
        self.verifier = load_verifier(config.verifier, config.tolerance)
        self.order = lru_cache(maxsize=4)(self.shuffled)

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
        name = values.get("id")
        prompt = self.student_prompt(values["prompt"], images, f"row {index} of {self.config.path}")
        return Example(
            id=str(index if is_missing(name) else name),
            prompt=prompt,
            answer=answer_of(values["answer"]),
            solution=reference_text(values.get("solution")),
            other_route=reference_text(values.get("other_route")),
            images=images_of(prompt),
            meta={"row": index},
        )

    def student_prompt(self, question: Any, images: tuple[Any, ...], where: str = "a row") -> Any:
        """Return the closed-book prompt: the question and the instruction, as messages or as plain text.

        Args:
            question: Text, or messages; of messages the first user turn receives the images.
            images: PIL images.
            where: Names the row in an error.

        Raises:
            UserError: Images or messages meet ``chat: false``, or the question is neither text nor messages.
        """
        if not self.config.chat:
            if images or not isinstance(question, str):
                raise UserError(
                    "task.data.chat is false, which is for plain text only: set it to true for this data set."
                )
            return f"{question}\n\n{self.config.instruction}" if self.config.instruction else question
        if isinstance(question, str):
            messages = [user_message(question, images)]
        else:
            messages = checked_turns(question, where)
            first = next(index for index, turn in enumerate(messages) if turn["role"] == "user")
            if images:
                content = messages[first]["content"]
                text = content if isinstance(content, str) else "\n".join(part["text"] for part in content)
                messages[first] = user_message(text, images)
        return append_text(messages, self.config.instruction) if self.config.instruction else messages

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
        return self.verifier(completion, answer)

    def reward(self, completion: str, verdict: Verdict) -> float:
        """Return the configured reward of a judged completion: accuracy, or 0.9 accuracy + 0.1 format."""
        return composite_reward(completion, verdict) if self.config.reward == "composite" else float(verdict.correct)
