"""credit/planted.json: how often the heaviest blame lies at or just after a planted wrong step, against chance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.statistics import Interval, crossed_interval, p_text, wilson_interval

Errors = Literal["planted", "own"]
ERRORS: tuple[Errors, ...] = ("planted", "own")
WORDS = {
    "answer": "the answer",
    "solution": "the solution",
    "other_route": "a solution by another route",
    "wrong_answer": "a wrong answer",
    "other_question": "another question's solution",
    "surprisal": "nothing (the student's own surprise)",
}


class Blame(NamedTuple):
    """One trajectory: its planted and its most blamed step, and the shares of tokens that a random choice would hit.

    ``near``: tokens of the planted step and the next one; ``own``: of the planted step alone; ``starts``: whether the
    most blamed token is the first of its step.
    """

    planted: int
    blamed: int
    near: float
    own: float
    starts: bool


@dataclass(frozen=True)
class Placement:
    """Where the blame fell, over the trajectories of one model or of several.

    Every model of a comparison is scored on the same derivations, so trajectories of different seeds are not
    independent: intervals and p-values have the derivation as a unit.

    Attributes:
        counts: (operations, operations + 1) by planted and by blamed step, over all trajectories.
        chance: The rate at or just after the planted step if a token were chosen at random.
        chance_same_step: That of the planted step alone.
        on_first_token: Share of trajectories whose most blamed token is the first of its step.
        hits: (seeds, derivations), whether the blame lies at or just after the planted step; None of a file from
            before it was kept.
        chances: (derivations,), ``chance`` of each; None likewise.
        seeds: Models that were scored.
    """

    counts: NDArray
    chance: float
    chance_same_step: float
    on_first_token: float
    hits: NDArray | None = None
    chances: NDArray | None = None
    seeds: int = 1

    @property
    def n(self) -> int:
        """Trajectories."""
        return int(self.counts.sum())

    @property
    def same_step(self) -> int:
        """Trajectories whose heaviest blame lies in the planted step."""
        return int(np.trace(self.counts))

    @property
    def near(self) -> int:
        """Trajectories whose heaviest blame lies in the planted step or in the next."""
        return self.same_step + int(np.trace(self.counts, offset=1))

    @property
    def interval(self) -> Interval:
        """The rate at or just after the planted step with its 95 % interval.

        Of one model Wilson's over derivations; of several that over seeds and derivations. Where only counts are
        known, Wilson's with the derivations of one seed, as if all seeds had the same hits.
        """
        if self.seeds > 1 and self.hits is not None:
            return crossed_interval([self.hits]).within(0.0, 1.0)
        each = wilson_interval(round(self.near / self.seeds), self.n // self.seeds)
        return each._replace(mean=self.near / self.n)

    @property
    def p(self) -> float:
        """One-sided p of so many hits if a token were chosen at random, models as they are.

        Of one model the exact binomial. Chance differs between derivations; the binomial with its mean is the cautious
        choice, because a sum of unequal chances varies less (Hoeffding 1956). Of several models the t test of hits
        minus chance, averaged over the models, with the derivation as the unit; where only counts are known, the
        binomial with the derivations of one seed.
        """
        from scipy.stats import binomtest, ttest_1samp

        if self.seeds > 1 and self.hits is not None and self.chances is not None:
            above = self.hits.mean(axis=0) - self.chances
            return float(ttest_1samp(above, 0.0, alternative="greater").pvalue) if np.ptp(above) else 1.0
        hits, n = int(self.near / self.seeds), self.n // self.seeds
        return float(binomtest(hits, n, self.chance, alternative="greater").pvalue)

    def sentence(self, reference: str, errors: Errors = "planted") -> str:
        """Say the rate against chance."""
        step = "planted wrong step" if errors == "planted" else "first wrong step of a rollout of its own"
        return (
            f"With {WORDS[reference]} as reference, the heaviest blame lies at or just after the {step} in "
            f"{self.near} of {self.n} trajectories: {self.interval.shown(percent=True, digits=1)} %, by chance "
            f"{self.chance:.1%} ({p_text(self.p)}); in the step itself in {self.same_step / self.n:.1%}, by chance "
            f"{self.chance_same_step:.1%}."
        )


def blame_file(run_dir: RunDir) -> Path:
    """Return where `rlsd eval RUN_DIR --planted N` writes its measurement."""
    return run_dir.credit_dir / "planted.json"


def placements(run_dir: RunDir, errors: Errors = "planted") -> dict[str, Placement]:
    """Return what was measured on a run by kind of reference and by placebo; {} where nothing was.

    Raises:
        UserError: The file is damaged.
    """
    path = blame_file(run_dir)
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stored = (content if errors == "planted" else content.get("own", {"references": {}}))["references"]
        found = {}
        for name, each in stored.items():
            if name in WORDS:
                counts = np.array(each["counts"], dtype=int)
                if not counts.sum() or counts.min() < 0 or counts.ndim != 2:
                    raise ValueError("no trajectories")
                known = "near" in each
                chance, own, first = (float(each[key]) for key in ("chance", "chance_same_step", "on_first_token"))
                hits, chances = np.array([each.get("near")]), np.array(each.get("near_by_chance"))
                kept = (hits.astype(float), chances.astype(float)) if known else (None, None)
                found[name] = Placement(counts, chance, own, first, *kept)
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is damaged: run `rlsd eval {run_dir.path} --planted 400` again.") from None
