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
OPTIONAL = "delta_placebo"  # Δ with a wrong reference, where the probe records it
LISTS = ("tokens", "delta", "weight", "token_advantage", OPTIONAL)


@dataclass(frozen=True)
class Quantity:
    """A number per token, and the value at which it says nothing.

    ``logarithmic`` colours it by its logarithm; ``credit`` by its distance from the rollout's own A, in units of |A|.
    """

    key: str
    symbol: str
    meaning: str
    neutral: float
    logarithmic: bool = False
    credit: bool = False


DELTA = Quantity("delta", "Δ", "privileged gain, nats", 0.0)
EVIDENCE = Quantity("evidence", "w", "evidence weight, not yet clipped", 1.0, logarithmic=True)
FULL = Quantity("token_advantage", "Â₁", "token advantage at λ = 1", 0.0, credit=True)
CURRENT = Quantity("current", "Â", "token advantage at this step's λ", 0.0, credit=True)
PLACEBO = Quantity("placebo", "Δ′", "Δ with a wrong reference, nats", 0.0)
QUANTITIES = (DELTA, EVIDENCE, FULL)


@dataclass(frozen=True)
class Trajectory:
    """One rollout with its credit; the arrays are (n_tokens,), ``placebo`` is None where none was recorded."""

    sample_id: int
    correct: bool
    advantage: float
    extracted: str
    tokens: tuple[str, ...]
    delta: NDArray
    weight: NDArray
    token_advantage: NDArray
    mix: float | None = None
    placebo: NDArray | None = None

    @property
    def evidence(self) -> NDArray:
        """exp(sign(A)·Δ), the weight before the clip (eq. 14)."""
        return np.exp(np.sign(self.advantage) * self.delta)

    @property
    def current(self) -> NDArray:
        """A·[(1−λ) + λ·w] with the λ of the step (eq. 16): what the tokens got."""
        mix = 1.0 if self.mix is None else self.mix
        return (1 - mix) * self.advantage + mix * self.token_advantage

    def values(self, quantity: Quantity) -> NDArray:
        """Return a quantity's values, (n_tokens,)."""
        return getattr(self, quantity.key)

    def shift(self, quantity: Quantity) -> NDArray:
        """Return the distance from neutral, (n_tokens,)."""
        values = self.values(quantity)
        if quantity.logarithmic:
            return np.log(values / quantity.neutral)
        if quantity.credit:
            return (values - self.advantage) / (abs(self.advantage) or 1.0)
        return values - quantity.neutral


@dataclass(frozen=True)
class CreditPair:
    """A correct and an incorrect rollout of one probe prompt; either may be missing. ``mix`` is λ, None if unknown."""

    run: Path
    label: str
    seed: int
    step: int
    prompt_id: str
    prompt: str
    answer: str
    correct: Trajectory | None
    incorrect: Trajectory | None
    mix: float | None = None

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """Those that there are, the correct one first."""
        return tuple(each for each in (self.correct, self.incorrect) if each is not None)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Δ, w and Â at λ = 1; Â at the step's λ where it is known, and the placebo's Δ where there is one."""
        more = () if self.mix is None or self.mix == 1.0 else (CURRENT,)
        placebo = (PLACEBO,) if all(each.placebo is not None for each in self.trajectories) else ()
        return (*QUANTITIES, *more, *placebo)

    @property
    def legend(self) -> str:
        """What the colours mean, and which λ is in force."""
        mix = "" if self.mix is None else f" λ is {self.mix:.3g} at this step."
        return (
            "Δ: how much more likely the teacher, who sees the reference, finds a token than the student. w = "
            "exp(sign(A)·Δ): the evidence weight before it is clipped. Â: the token's advantage, coloured by its "
            f"distance from the rollout's own A, which plain GRPO gives to every token.{mix} Blue: above neutral; "
            "orange: below; a mark stands where it is beyond a quarter of the scale."
        )

    def scale(self, quantity: Quantity) -> float:
        """Return the largest distance from neutral in both trajectories: the ends of the colour scale.

        The same scale for both makes their colours comparable; that of Â is the same for every λ.
        """
        quantity = FULL if quantity.credit else quantity
        largest = float(np.max(np.concatenate([np.abs(each.shift(quantity)) for each in self.trajectories])))
        return largest if largest > 1e-12 else 1.0

    def fractions(self, trajectory: Trajectory, quantity: Quantity) -> NDArray:
        """Return where a trajectory's values lie on the colour scale, (n_tokens,) from −1 to 1."""
        return trajectory.shift(quantity) / self.scale(quantity)

    def end(self, quantity: Quantity, fraction: float) -> str:
        """Return the value at a fraction of the scale, as a legend prints it."""
        reach = fraction * self.scale(quantity)
        if quantity.credit:
            return "A" if not fraction else f"A{reach:+.2g}|A|".replace("-", "−")
        value = quantity.neutral * float(np.exp(reach)) if quantity.logarithmic else quantity.neutral + reach
        return f"{value:.3g}".replace("-", "−")


def read_step(path: Path, more: Sequence[str] = ()) -> pd.DataFrame:
    """Return one credit file.

    Args:
        path: The file.
        more: Further columns that are wanted where they are there.

    Raises:
        UserError: The file is damaged or lacks a column, or its lists differ in length.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
        kept = [name for name in LISTS if name != OPTIONAL or name in frame]
        wanted = [name for name in (OPTIONAL, *more) if name in frame]
        frame = frame[[*COLUMNS, *wanted]]
        lists = [frame[name].map(len) for name in kept]
    except Exception as error:
        raise UserError(
            f"{path} is not a readable credit file ({type(error).__name__}): train the run again."
        ) from None
    if any((lengths != lists[0]).any() for lengths in lists[1:]):
        raise UserError(f"{path} has lists of unequal length in one row: train the run again.")
    return frame


def _trajectory(rows: pd.DataFrame, mix: float | None) -> Trajectory | None:
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
        mix=mix,
        placebo=np.asarray(row[OPTIONAL], dtype=float) if OPTIONAL in row else None,
    )


def _pair(run: Run, step: int, frame: pd.DataFrame, prompt_id: str) -> CreditPair:
    try:
        return _checked_pair(run, step, frame, prompt_id)
    except (IndexError, TypeError, ValueError):  # a column is there and holds something else
        raise UserError(f"the credit of step {step} in {run.path} is damaged: train the run again.") from None


def _checked_pair(run: Run, step: int, frame: pd.DataFrame, prompt_id: str) -> CreditPair:
    rows = frame[frame["prompt_id"] == prompt_id]
    right, mix = rows["correct"].astype(bool), mix_at(run, step)
    return CreditPair(
        run=run.path,
        label=run.label,
        seed=run.seed,
        step=step,
        prompt_id=prompt_id,
        prompt=str(rows["prompt"].iloc[0]),
        answer=str(rows["answer"].iloc[0]),
        correct=_trajectory(rows[right], mix),
        incorrect=_trajectory(rows[~right], mix),
        mix=mix,
    )


def mix_at(run: Run, step: int) -> float | None:
    """Return λ of the update after a probe: of the next logged step, or of the last; None where none is logged."""
    steps, values = run.series("rlsd/lambda")
    if not len(steps):
        return None
    return float(values[min(int(np.searchsorted(steps, step, side="right")), len(steps) - 1)])


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
