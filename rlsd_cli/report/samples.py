"""Which rollouts a reader is shown: of the first probe prompts, at some steps, those that say most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.detect import Hit, find_mentions
from rlsd_cli.report.credit.data import mix_at, read_step
from rlsd_cli.report.runs import Run

if TYPE_CHECKING:
    import pandas as pd

PROMPTS = 3
STEPS = 6
TEXTS = ("completion", "reference", "why")


@dataclass(frozen=True)
class Rollout:
    """One probe rollout with its credit and what the audit marks in it.

    ``delta``, ``weight`` and ``placebo`` have an entry per token (nats; the clipped weight at λ = 1; nats, None where
    none was recorded), ``mentions`` the rule that marks a token or ''. ``mix`` is λ at the step, None where the arm has
    none.
    """

    step: int
    prompt_id: str
    sample_id: int
    prompt: str
    reference: str
    answer: str
    extracted: str
    why: str
    correct: bool
    advantage: float
    tokens: tuple[str, ...]
    delta: tuple[float, ...]
    weight: tuple[float, ...]
    placebo: tuple[float, ...] | None
    mentions: tuple[str, ...]
    mix: float | None

    @property
    def cites(self) -> bool:
        """Whether the audit finds a reference mentioned that the prompt did not show."""
        return any(self.mentions)


def spread(steps: Sequence[int], most: int = STEPS) -> list[int]:
    """Return at most so many of the steps, evenly spread, the first and the last among them.

    >>> spread([0, 20, 40, 60, 80, 100, 120], 3)
    [0, 60, 120]
    """
    ordered = sorted(steps)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(place)] for place in np.linspace(0, len(ordered) - 1, most)]


def kept_files(run: Run) -> dict[int, Path]:
    """Return the credit files that samples are taken from, by step."""
    files = dict(run.directory.step_files(run.directory.credit_dir))
    return {step: files[step] for step in spread(list(files))}


def telling(frame: pd.DataFrame) -> pd.DataFrame:
    """Return of each of the first prompts the first rollout that cites, the first right one and the first wrong one.

    What it returns, it returns again when given that alone: kept samples show what the whole run shows.
    """
    kept: list[Any] = []
    for prompt_id in list(dict.fromkeys(frame["prompt_id"]))[:PROMPTS]:
        rows = frame[frame["prompt_id"] == prompt_id].sort_values("sample_id", kind="stable")
        right = rows["correct"].astype(bool)
        cites = [bool(_hits(row)) for row in rows.to_dict("records")]
        for wanted in (np.array(cites, dtype=bool), right.to_numpy(), ~right.to_numpy()):
            kept += list(rows.index[wanted][:1])
    return frame.loc[list(dict.fromkeys(kept))].sort_index()


def _text(row: dict[str, Any]) -> str:
    completion = row.get("completion")
    return completion if isinstance(completion, str) else "".join(map(str, row["tokens"]))


def _hits(row: dict[str, Any]) -> list[Hit]:
    return find_mentions(_text(row), str(row["prompt"]))


def rollouts(run: Run) -> list[Rollout]:
    """Return the rollouts that a reader is shown of a run, by step and prompt; none where no credit file is there.

    Raises:
        UserError: A credit file is damaged.
    """
    found = []
    for step, path in kept_files(run).items():
        frame = read_step(path, TEXTS)
        try:
            found += [_rollout(row, step, mix_at(run, step)) for row in telling(frame).to_dict("records")]
        except (AttributeError, KeyError, TypeError, ValueError):  # a column is there and holds something else
            raise UserError(f"{path} is damaged: train the run again.") from None
    return found


def _rollout(row: dict[str, Any], step: int, mix: float | None) -> Rollout:
    placebo = row.get("delta_placebo")
    tokens = tuple(str(token) for token in row["tokens"])
    advantage = row["advantage"]
    return Rollout(
        step=step,
        prompt_id=str(row["prompt_id"]),
        sample_id=int(row["sample_id"]),
        prompt=str(row["prompt"]),
        reference=str(row.get("reference", "")),
        answer=str(row["answer"]),
        extracted=str(row["extracted"]),
        why=str(row.get("why") or ""),
        correct=bool(row["correct"]),
        advantage=float(advantage) if advantage is not None else float("nan"),
        tokens=tokens,
        delta=tuple(map(float, row["delta"])),
        weight=tuple(map(float, row["weight"])),
        placebo=tuple(map(float, placebo)) if placebo is not None else None,
        mentions=marks(tokens, _text(row), _hits(row)),
        mix=mix,
    )


def marks(tokens: Sequence[str], text: str, hits: Sequence[Hit]) -> tuple[str, ...]:
    """Return for each token the rule whose hit in the text covers a part of it, or ''.

    Tokens are looked for in the text one after the other, as their texts need not add up to it.

    >>> marks(["see", "the", "key", "</s>"], "see the key", [Hit("key", 4, 11, "the key")])
    ('', 'key', 'key', '')
    """
    found, place = [], 0
    for token in tokens:
        word = token.strip()
        start = text.find(word, place) if word else -1
        if start < 0:
            found.append("")
            continue
        place = start + len(word)
        found.append(next((hit.rule for hit in hits if hit.start < place and start < hit.end), ""))
    return tuple(found)
