"""Exposure of decoys: how far a model prefers a wrong answer that its teacher saw to ones drawn alike that nobody saw.

Carlini et al. (2019), "The Secret Sharer", definition 5: with M + 1 candidates,
the exposure of one is log2(M + 1) − log2(rank). Without memorisation its rank is
uniform, and the exposure has the mean E0 = log2(M + 1) − log2((M + 1)!)/(M + 1);
what is reported is the excess over E0, which is 0 bits for a model that has taken
nothing from the decoy, and at most log2(M + 1) − E0. docs/exposure.md derives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma, log, log2

import numpy as np

from rlsd_cli.statistics import Interval, t_interval


def exposure(seen: float, unseen: Sequence[float]) -> float:
    """Return the exposure of a candidate in bits.

    Ties: the mean of log2(rank) over the ranks that the tied ones share, so that
    the mean under the null stays exactly `null_exposure`.

    Args:
        seen: Its log-probability.
        unseen: Those of the M others.

    >>> exposure(-1.0, [-2.0, -3.0, -4.0]), exposure(-9.0, [-2.0, -3.0, -4.0])
    (2.0, 0.0)
    """
    higher = sum(other > seen for other in unseen)
    tied = sum(other == seen for other in unseen)
    return of_rank(higher, tied, len(unseen))


def of_rank(higher: int, tied: int, unseen: int) -> float:
    """Return the exposure in bits of a candidate that ``higher`` of ``unseen`` others beat and ``tied`` equal."""
    ranks = range(higher + 1, higher + tied + 2)
    return log2(unseen + 1) - sum(map(log2, ranks)) / len(ranks)


def null_exposure(unseen: int) -> float:
    """Return the mean exposure in bits of one of ``unseen`` + 1 exchangeable candidates.

    >>> round(null_exposure(1), 3), round(null_exposure(31), 3)
    (0.5, 1.323)
    """
    return log2(unseen + 1) - lgamma(unseen + 2) / log(2) / (unseen + 1)


def excess(seen: float, unseen: Sequence[float]) -> float:
    """Return the exposure above its mean under the null, in bits."""
    return exposure(seen, unseen) - null_exposure(len(unseen))


@dataclass(frozen=True)
class Scores:
    """What one prompt says of one checkpoint.

    ``follows`` is the share of its samples whose answer is the decoy, and then that of
    each unseen one; empty where nothing was sampled.
    """

    prompt_id: str
    seen: float
    unseen: tuple[float, ...]
    follows: tuple[float, ...] = ()

    @property
    def rank(self) -> tuple[int, int]:
        """How many unseen candidates are more probable than the seen one, and how many equally."""
        return sum(other > self.seen for other in self.unseen), sum(other == self.seen for other in self.unseen)


def mean_excess(scores: Sequence[Scores]) -> Interval:
    """Return the mean excess exposure in bits with its 95 % t-interval over prompts.

    A prompt that was scored more than once counts once, by its mean: prompts are the clusters.
    """
    return by_prompt([(score.prompt_id, excess(score.seen, score.unseen)) for score in scores])


def follow_difference(scores: Sequence[Scores]) -> Interval | None:
    """Return the follow rate minus that of unseen decoys, paired by prompt, with its 95 % t-interval."""
    pairs = [(score.prompt_id, ahead(score.follows)) for score in scores if score.follows]
    return by_prompt(pairs) if pairs else None


def ahead(values: Sequence[float]) -> float:
    """Return the first value minus the mean of the others."""
    return float(values[0] - np.mean(values[1:]))


def randomisation_p(statistics: Sequence[Sequence[float]], draws: int = 10_000, seed: int = 0) -> float:
    """Return the one-sided p-value of a mean over prompts under exchangeable candidates.

    Without training each candidate is as likely to have been the one that was shown:
    the mean is compared with means in which one is drawn at random for each prompt.
    It needs no distribution, so it holds for few prompts and rare answers, where the
    t-interval is too narrow.

    Args:
        statistics: Per prompt the statistic with each candidate as the shown one; first the one that was.
        draws: Random assignments.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    observed = sum(values[0] for values in statistics)
    total = np.zeros(draws)
    for values in statistics:
        total += rng.choice(np.asarray(values, dtype=float), draws)
    return float((1 + np.sum(total >= observed - 1e-12)) / (draws + 1))


def each_as_seen(values: Sequence[float]) -> list[list[float]]:
    """Return the values with each in turn as the first."""
    return [[values[index], *values[:index], *values[index + 1 :]] for index in range(len(values))]


def exposure_p(scores: Sequence[Scores]) -> float:
    """Return the p-value of the mean excess exposure."""
    return randomisation_p(
        [[excess(first, rest) for first, *rest in each_as_seen((score.seen, *score.unseen))] for score in scores]
    )


def follow_p(scores: Sequence[Scores]) -> float:
    """Return the p-value of the follow difference."""
    return randomisation_p(
        [[ahead(values) for values in each_as_seen(score.follows)] for score in scores if score.follows]
    )


def by_prompt(values: Sequence[tuple[str, float]]) -> Interval:
    """Return the mean of the prompts' means with its 95 % t-interval."""
    groups: dict[str, list[float]] = {}
    for prompt_id, value in values:
        groups.setdefault(prompt_id, []).append(value)
    return t_interval([float(np.mean(group)) for group in groups.values()])
