"""Completions of another tool's files, with what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.foreign.log import Log, Rollout
from rlsd_cli.foreign.names import number
from rlsd_cli.leakage.inputs.layouts import Columns, Layout, looked_up, recognise
from rlsd_cli.leakage.inputs.records import writable
from rlsd_cli.records import Damage, RowError, stream_rows

LAST_STEP = 999_999  # six digits stand in a run directory's names
REWARD = ("reward", "rewards", "score", "scores")
CORRECT = ("correct", "is_correct", "acc", "accuracy")
ADVANTAGE = ("advantage", "advantages")
EXTRACTED = ("extracted", "pred", "extracted_answer")


@dataclass(frozen=True)
class Beside:
    """The columns beside a completion; None: recognised.

    Attributes:
        columns: Those that the leakage audit knows, too.
        reward: Of the reward; several are added.
        correct: Of the verdict.
    """

    columns: Columns = field(default_factory=Columns)
    reward: tuple[str, ...] = ()
    correct: str | None = None


def rollouts_of(files: Sequence[Path], beside: Beside, log: Log) -> Iterator[Rollout]:
    """Yield the completions of files, one after the other; what can't be read is counted in ``log.skipped``.

    Raises:
        UserError: A file is damaged or holds no completions, or a column that was asked for is missing.
    """
    for path in files:
        layouts: dict[tuple[str, ...], Layout] = {}
        try:
            for place, row in stream_rows(path):
                if isinstance(row, RowError):
                    log.skipped[f"row {place} of {path.name}: {row}"] += 1
                    continue
                names = tuple(row)
                if names not in layouts:
                    layouts[names] = recognise(row, beside.columns, path)
                    missing = [name for name in (*beside.reward, beside.correct) if name and name not in row]
                    if missing:
                        raise UserError(f"{path} has no column '{missing[0]}': it has {', '.join(names)[:300]}.")
                try:
                    for each in single(row, layouts[names]):
                        yield from _of_row(each, layouts[names], beside)
                except RowError as error:
                    log.skipped[f"row {place} of {path.name}: {error}"] += 1
        except Damage as damage:
            raise UserError(f"{path} cannot be read: {damage}.") from None


def single(row: dict[str, Any], layout: Layout) -> list[dict[str, Any]]:
    """Return the rows that a row of columns holds (ms-swift writes one per step); of any other, the row itself.

    Raises:
        RowError: Its columns differ in length.
    """
    count = layout.columnar(row, looked_up(row, layout.completion))
    if count is None:
        return [row]
    return [
        {key: each[index] if isinstance(each, list) and len(each) == count else each for key, each in row.items()}
        for index in range(count)
    ]


def _of_row(row: dict[str, Any], layout: Layout, beside: Beside) -> Iterator[Rollout]:
    rewards = [number(row.get(name)) for name in beside.reward or _first(REWARD, row)]
    known = [value for value in rewards if value is not None]
    verdict = _one(row, (beside.correct,) if beside.correct else CORRECT)
    extracted = next((row[name] for name in EXTRACTED if isinstance(row.get(name), str)), "")
    for entry in layout.plain(row):
        if entry.step is None:
            raise RowError("it says no training step: name its column with --step-column")
        if not 0 <= entry.step <= LAST_STEP:
            raise RowError(f"its step is {entry.step}")
        yield Rollout(
            step=entry.step,
            prompt=writable(entry.prompt),
            completion=writable(entry.text),
            answer=writable(entry.answer),
            extracted=writable(extracted),
            reward=float(sum(known)) if known else None,
            correct=None if verdict is None else verdict > 0.5,
            advantage=_one(row, ADVANTAGE),
        )


def _first(names: Sequence[str], row: dict[str, Any]) -> tuple[str, ...]:
    return next(((name,) for name in names if number(row.get(name)) is not None), ())


def _one(row: dict[str, Any], names: Sequence[str]) -> float | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, bool) or str(value) in ("True", "False"):
            return float(str(value) == "True")
        if (found := number(value)) is not None:
            return float(found)
    return None
