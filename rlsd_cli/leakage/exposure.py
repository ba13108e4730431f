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
    ranks = range(higher + 1, higher + tied + 2)
    return log2(len(unseen) + 1) - sum(map(log2, ranks)) / len(ranks)


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

    ``follows`` is the share of its samples whose answer is the decoy, ``others``
    the mean share over the unseen decoys; None where nothing was sampled.
    """

    prompt_id: str
    seen: float
    unseen: tuple[float, ...]
    follows: float | None = None
    others: float | None = None


def mean_excess(scores: Sequence[Scores]) -> Interval:
    """Return the mean excess exposure in bits with its 95 % t-interval over prompts.

    A prompt that was scored more than once counts once, by its mean: prompts are the clusters.
    """
    return by_prompt([(score.prompt_id, excess(score.seen, score.unseen)) for score in scores])


def follow_difference(scores: Sequence[Scores]) -> Interval | None:
    """Return the follow rate minus that of unseen decoys, paired by prompt, with its 95 % t-interval."""
    pairs = [
        (score.prompt_id, score.follows - score.others)
        for score in scores
        if score.follows is not None and score.others is not None
    ]
    return by_prompt(pairs) if pairs else None


def by_prompt(values: Sequence[tuple[str, float]]) -> Interval:
    """Return the mean of the prompts' means with its 95 % t-interval."""
    groups: dict[str, list[float]] = {}
    for prompt_id, value in values:
        groups.setdefault(prompt_id, []).append(value)
    return t_interval([float(np.mean(group)) for group in groups.values()])
