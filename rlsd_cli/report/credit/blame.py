"""credit/planted.json: how often the heaviest blame lies at or just after a planted wrong step, against chance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.verdicts import p_text
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.statistics import Interval, wilson_interval

WORDS = {"answer": "the answer", "solution": "the solution", "other_route": "a solution by another route"}


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
    """Counts (operations, operations + 1) by planted and by blamed step, and the rates that chance would give.

    ``on_first_token``: share of trajectories whose most blamed token is the first of its step.
    """

    counts: NDArray
    chance: float
    chance_same_step: float
    on_first_token: float

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
        """The rate at or just after the planted step, with Wilson's 95 % interval over trajectories."""
        return wilson_interval(self.near, self.n)

    @property
    def p(self) -> float:
        """One-sided exact binomial p of so many hits if a token were chosen at random.

        Chance differs between trajectories; the binomial with its mean is the cautious choice, because a sum of
        unequal chances varies less (Hoeffding 1956).
        """
        from scipy.stats import binomtest

        return float(binomtest(self.near, self.n, self.chance, alternative="greater").pvalue)

    def sentence(self, reference: str) -> str:
        """Say the rate against chance."""
        rate = self.interval
        return (
            f"With {WORDS[reference]} as reference, the heaviest blame lies at or just after the planted wrong step in "
            f"{self.near} of {self.n} trajectories: {rate.mean:.1%} [{rate.low:.1%}, {rate.high:.1%}], by chance "
            f"{self.chance:.1%} ({p_text(self.p)}); in the step itself in {self.same_step / self.n:.1%}, by chance "
            f"{self.chance_same_step:.1%}."
        )


def blame_file(run_dir: RunDir) -> Path:
    """Return where `rlsd plot --credit RUN_DIR --planted N` writes its measurement."""
    return run_dir.credit_dir / "planted.json"


def placements(run_dir: RunDir) -> dict[str, Placement]:
    """Return what was measured on a run by kind of reference; {} where nothing was.

    Raises:
        UserError: The file is damaged.
    """
    path = blame_file(run_dir)
    if not path.is_file():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))["references"]
        return {
            name: Placement(
                np.array(each["counts"], dtype=int),
                *(float(each[key]) for key in ("chance", "chance_same_step", "on_first_token")),
            )
            for name, each in stored.items()
            if name in WORDS
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is damaged: run `rlsd plot --credit {run_dir.path} --planted 400` again.") from None


def measured(variant: Variant) -> dict[int, dict[str, Placement]]:
    """Return the measurements of a variant's runs by seed, without the runs that have none."""
    found = {run.seed: placements(run.directory) for run in variant.runs}
    return {seed: each for seed, each in found.items() if each}


def pooled(variant: Variant, reference: str) -> Placement:
    """Return the sum over a variant's seeds.

    Raises:
        Missing: No run was measured with this reference.
    """
    found = [each[reference] for each in measured(variant).values() if reference in each]
    if not found:
        raise Missing(f"{variant.label} has no credit/planted.json (`rlsd plot --credit RUN_DIR --planted 400`)")
    sizes = [each.n for each in found]

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=sizes))

    return Placement(
        counts=np.sum([each.counts for each in found], axis=0),
        chance=mean([each.chance for each in found]),
        chance_same_step=mean([each.chance_same_step for each in found]),
        on_first_token=mean([each.on_first_token for each in found]),
    )


def variants_measured(comparison: Comparison) -> list[Variant]:
    """Return the variants that have a measurement.

    Raises:
        Missing: There is none.
    """
    found = [variant for variant in comparison.variants.values() if measured(variant)]
    if not found:
        raise Missing("no run has credit/planted.json (`rlsd plot --credit RUN_DIR --planted 400`)")
    return found
