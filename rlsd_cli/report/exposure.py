"""Exposure of decoys over seeds (docs/exposure.md): what each run took over, and what GRPO of the same seed shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlsd_cli.leakage.exposure import of_rank
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import Run
from rlsd_cli.report.style import in_order
from rlsd_cli.runs.directory import read_object
from rlsd_cli.statistics import Interval, nested_interval

COLUMNS = ("step", "prompt_id", "text", "higher", "tied", "unseen", "excess")
DRAWS = 10_000
PLACEBO = "grpo"


@dataclass(frozen=True)
class Exposed:
    """The exposure of one variant's runs.

    Attributes:
        variant: The variant.
        text: What was scored: ``answer``, ``solution`` or ``other_route``.
        frames: By seed: the rows of exposure.parquet, of every text.
        shown: Whether its teacher saw the decoys; None where that is not known.
    """

    variant: Variant
    text: str
    frames: dict[int, pd.DataFrame]
    shown: bool | None

    @property
    def steps(self) -> list[int]:
        """The steps at which all its seeds were scored."""
        each = [set(frame["step"]) for frame in self.frames.values()]
        return sorted(set.intersection(*each))

    def values(self, step: int, column: str = "excess", text: str = "") -> dict[int, pd.Series]:
        """Return by seed one number per question at a step, of the text that its teacher saw or of another."""
        found = {}
        for seed, frame in self.frames.items():
            rows = frame[(frame["step"] == step) & (frame["text"] == (text or self.text))]
            if len(rows) and column in rows:
                found[seed] = rows.set_index("prompt_id")[column].dropna()
        return {seed: series for seed, series in found.items() if len(series)}

    def p(self, step: int) -> float:
        """Return the one-sided p of the mean excess if each question's candidates were exchangeable."""
        rng = np.random.default_rng(0)
        observed, total = 0.0, np.zeros(DRAWS)
        for frame in self.frames.values():
            rows = frame[(frame["step"] == step) & (frame["text"] == self.text)]
            observed += float(rows["excess"].mean())
            for unseen, count in rows["unseen"].value_counts().items():
                ranks = np.array([of_rank(rank, 0, int(unseen)) for rank in range(int(unseen) + 1)])
                drawn = rng.multinomial(int(count), np.full(len(ranks), 1 / len(ranks)), size=DRAWS)
                total += drawn @ (ranks - ranks.mean()) / len(rows)
        return float((1 + np.sum(total >= observed - 1e-12)) / (DRAWS + 1))


def read(run: Run) -> pd.DataFrame:
    """Return exposure.parquet of a run.

    Raises:
        Missing: It is not there, or no such table.
    """
    path = run.directory.leakage_dir / "exposure.parquet"
    if not path.is_file():
        raise Missing(f"{run.label} seed {run.seed} has no exposure: rlsd leakage-audit RUN --exposure")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError):
        raise Missing(f"{path} is damaged: rlsd leakage-audit RUN --exposure") from None
    if not set(COLUMNS) <= set(frame) or frame.empty:
        raise Missing(f"{path} lacks columns: rlsd leakage-audit RUN --exposure")
    return frame


def exposed(variant: Variant) -> Exposed:
    """Return the exposure of a variant's runs that have it.

    Raises:
        Missing: None has.
    """
    frames, reason = {}, Missing("")
    for run in variant.runs:
        try:
            frames[run.seed] = read(run)
        except Missing as error:
            reason = error
    if not frames:
        raise reason
    asked = str(variant.option("teacher.reference", "answer"))
    texts = set.intersection(*(set(frame["text"]) for frame in frames.values()))
    json = variant.runs[0].directory.leakage_dir / "exposure.json"
    shown = read_object(json).get("shown") if json.is_file() else None
    return Exposed(variant, asked if asked in texts else "answer", frames, shown)


def all_exposed(comparison: Comparison) -> list[Exposed]:
    """Return the exposure of every variant that has it, in the order of the arms.

    Raises:
        Missing: None has.
    """
    found = []
    for variant in in_order(comparison.arms):
        try:
            found.append(exposed(variant))
        except Missing:
            continue
    if not found:
        raise Missing("no run has decoys whose exposure was measured (leakage.decoy_share, leakage-audit --exposure)")
    return found


def interval(values: dict[int, pd.Series]) -> Interval:
    """Return the mean over seeds with its interval, questions and seeds as clusters."""
    return nested_interval([series.to_numpy() for series in values.values()])


def minus(ours: dict[int, pd.Series], theirs: dict[int, pd.Series]) -> Interval | None:
    """Return the mean of differences of the same question of the same seed; None where there is none."""
    pairs: Sequence[NDArray] = [
        (ours[seed] - theirs[seed]).dropna().to_numpy(dtype=float) for seed in ours if seed in theirs
    ]
    kept = [pair for pair in pairs if pair.size]
    return nested_interval(kept) if kept else None


def over_placebo(one: Exposed, placebo: Exposed | None, step: int) -> Interval | None:
    """Return the excess of a variant minus GRPO's, of the same questions, seeds and text; None without GRPO."""
    return minus(one.values(step), placebo.values(step, text=one.text)) if placebo else None


def placebo_of(found: Sequence[Exposed]) -> Exposed | None:
    """Return GRPO's exposure."""
    return next((each for each in found if each.variant.label == PLACEBO), None) or next(
        (each for each in found if each.variant.method == PLACEBO), None
    )
