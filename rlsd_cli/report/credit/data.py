"""Reading credit/step-*.parquet and choosing the trajectories that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import Run

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "prompt_id",
    "sample_id",
    "prompt",
    "answer",
    "extracted",
    "correct",
    "advantage",
    "tokens",
    "delta",
    "weight",
    "token_advantage",
]


@dataclass(frozen=True)
class Quantity:
    """One of the three numbers per token, and the value at which it says nothing."""

    key: str
    symbol: str
    meaning: str
    neutral: float
    relative: bool = False


QUANTITIES = (
    Quantity("delta", "Δ", "privileged gain, nats", 0.0),
    Quantity("weight", "w", "evidence weight", 1.0),
    Quantity("token_advantage", "Â", "token advantage", 0.0, relative=True),
)


@dataclass(frozen=True)
class Trajectory:
    """One rollout with its credit; the arrays are (n_tokens,)."""

    sample_id: int
    correct: bool
    advantage: float
    extracted: str
    tokens: tuple[str, ...]
    delta: NDArray
    weight: NDArray
    token_advantage: NDArray

    def values(self, quantity: Quantity) -> NDArray:
        """Return a quantity's values, (n_tokens,)."""
        return getattr(self, quantity.key)

    def shift(self, quantity: Quantity) -> NDArray:
        """Return the distance from neutral, (n_tokens,); that of Â in units of |A|, which differs between rollouts."""
        unit = abs(self.advantage) if quantity.relative and abs(self.advantage) > 0 else 1.0
        return (self.values(quantity) - quantity.neutral) / unit


@dataclass(frozen=True)
class CreditPair:
    """A correct and an incorrect rollout of one probe prompt; either may be missing."""

    run: Path
    label: str
    seed: int
    step: int
    prompt_id: str
    prompt: str
    answer: str
    correct: Trajectory | None
    incorrect: Trajectory | None

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """Those that there are, the correct one first."""
        return tuple(each for each in (self.correct, self.incorrect) if each is not None)

    def scale(self, quantity: Quantity) -> float:
        """Return the largest distance from neutral in both trajectories: the ends of the colour scale.

        The same scale for both makes their colours comparable.
        """
        largest = float(np.max(np.concatenate([np.abs(each.shift(quantity)) for each in self.trajectories])))
        return largest if largest > 0 else 1.0

    def fractions(self, trajectory: Trajectory, quantity: Quantity) -> NDArray:
        """Return where a trajectory's values lie on the colour scale, (n_tokens,) from −1 to 1."""
        return trajectory.shift(quantity) / self.scale(quantity)

    def end(self, quantity: Quantity, fraction: float) -> str:
        """Return the value at a fraction of the scale, as a legend prints it."""
        text = f"{quantity.neutral + fraction * self.scale(quantity):.3g}".replace("-", "−")
        return f"{text} |A|" if quantity.relative and fraction else text


def read_step(path: Path) -> pd.DataFrame:
    """Return one credit file.

    Raises:
        UserError: The file is damaged or lacks a column, or its lists differ in length.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(path, columns=COLUMNS)
        lists = [frame[name].map(len) for name in ("tokens", *(quantity.key for quantity in QUANTITIES))]
    except Exception as error:
        raise UserError(
            f"{path} is not a readable credit file ({type(error).__name__}): train the run again."
        ) from None
    if any((lengths != lists[0]).any() for lengths in lists[1:]):
        raise UserError(f"{path} has lists of unequal length in one row: train the run again.")
    return frame


def _trajectory(rows: pd.DataFrame) -> Trajectory | None:
    """Return the rollout of middle length among ``rows``, lowest sample id first: typical, and always the same."""
    usable = rows[rows["tokens"].map(len) > 0]
    if usable.empty:
        return None
    ordered = usable.assign(n=usable["tokens"].map(len)).sort_values(["n", "sample_id"], kind="stable")
    row = ordered.iloc[(len(ordered) - 1) // 2]
    return Trajectory(
        sample_id=int(row["sample_id"]),
        correct=bool(row["correct"]),
        advantage=float(row["advantage"]) if row["advantage"] is not None else float("nan"),
        extracted=str(row["extracted"]),
        tokens=tuple(str(token) for token in row["tokens"]),
        delta=np.asarray(row["delta"], dtype=float),
        weight=np.asarray(row["weight"], dtype=float),
        token_advantage=np.asarray(row["token_advantage"], dtype=float),
    )


def _pair(run: Run, step: int, frame: pd.DataFrame, prompt_id: str) -> CreditPair:
    try:
        return _checked_pair(run, step, frame, prompt_id)
    except (IndexError, TypeError, ValueError):  # a column is there and holds something else
        raise UserError(f"the credit of step {step} in {run.path} is damaged: train the run again.") from None


def _checked_pair(run: Run, step: int, frame: pd.DataFrame, prompt_id: str) -> CreditPair:
    rows = frame[frame["prompt_id"] == prompt_id]
    right = rows["correct"].astype(bool)
    return CreditPair(
        run=run.path,
        label=run.label,
        seed=run.seed,
        step=step,
        prompt_id=prompt_id,
        prompt=str(rows["prompt"].iloc[0]),
        answer=str(rows["answer"].iloc[0]),
        correct=_trajectory(rows[right]),
        incorrect=_trajectory(rows[~right]),
    )


def prompt_ids(frame: pd.DataFrame) -> list[str]:
    """Return the probe prompts of a credit file in their order: number 0 is the first."""
    return [str(name) for name in frame["prompt_id"].unique()]


def _choose(ids: Sequence[str], prompt: str) -> str:
    if prompt in ids:
        return prompt
    if prompt.isdigit() and int(prompt) < len(ids):
        return ids[int(prompt)]
    raise UserError(
        f"there is no probe prompt {prompt}: give a number from 0 to {len(ids) - 1} or an id like {ids[0]}."
    )


def select(run: Run, prompt: str | None = None, step: int | None = None) -> CreditPair:
    """Return the rollouts to show.

    Without ``step`` the last probe step; without ``prompt`` the first prompt that has a correct and an
    incorrect rollout there (going back through the steps until there is one).

    Raises:
        Missing: The run has no credit files, or no prompt with both kinds of rollout.
        UserError: The step or prompt asked for does not exist.
    """
    files = dict(run.directory.step_files(run.directory.credit_dir))
    if not files:
        raise Missing(f"{run.path} holds no credit/step-*.parquet")
    if step is not None and step not in files:
        raise UserError(f"{run.path} has no credit of step {step}: it has steps {', '.join(map(str, files))}.")
    steps = [step] if step is not None else sorted(files, reverse=True)
    if prompt is not None:
        frame = read_step(files[steps[0]])
        if frame.empty:
            raise Missing(f"{files[steps[0]]} is empty")
        return _pair(run, steps[0], frame, _choose(prompt_ids(frame), prompt))
    for each in steps:
        frame = read_step(files[each])
        for name in prompt_ids(frame):
            pair = _pair(run, each, frame, name)
            if len(pair.trajectories) == 2:
                return pair
    where = f"at step {step}" if step is not None else "at any probe step"
    raise Missing(f"no probe prompt of {run.path} has both a correct and an incorrect rollout {where}")


def visible(token: str) -> str:
    """Return a token as one can safely show it: line breaks and control characters as escapes, '·' for a bare space."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in token)
    return "·" * len(shown) if shown and not shown.strip() else shown.strip() or "∅"
