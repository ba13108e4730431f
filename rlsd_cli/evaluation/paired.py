"""The paired difference of two models on the same questions: the one computation, for `--compare` and for reports."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.results import SuiteResult
from rlsd_cli.statistics import Interval, by_unit, crossed_interval, sign_flip_p


class Unlike(UserError):
    """Results that can't be paired; the sentence says why."""


@dataclass(frozen=True)
class Difference:
    """One model's accuracy minus another's on matched seeds and questions.

    ``interval`` is over seeds and questions; ``p`` is the sign-flip test over questions, seeds as they are.
    """

    interval: Interval
    p: float
    seeds: tuple[int, ...]
    questions: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero; with one seed it says nothing of the arm, so never."""
        return len(self.seeds) > 1 and (self.interval.low > 0 or self.interval.high < 0)


def aligned(results: Sequence[SuiteResult]) -> list[SuiteResult]:
    """Return results on the questions that all of them share, in one order.

    Raises:
        Unlike: They share none, or some are greedy and some sampled.
    """
    if len({result.greedy for result in results}) > 1:
        raise Unlike("some runs were evaluated greedily and some with samples")
    common = functools.reduce(np.intersect1d, [result.ids for result in results])
    if len(common) == 0:
        raise Unlike("the runs answered different questions: evaluate all on the same copy")
    return [result.rows(np.searchsorted(result.ids, common)) for result in results]


def accuracy(suites: Sequence[Sequence[SuiteResult]]) -> Interval:
    """Return accuracy averaged over suites with its 95 % interval over seeds and questions.

    Args:
        suites: Per suite a result per seed, all suites with the same seeds in one order.

    Raises:
        Unlike: The seeds of a suite share no question.
    """
    strata = []
    for results in suites:
        same = aligned(results)
        strata.append(by_unit(np.stack([each.means for each in same]), same[0].units))
    return crossed_interval(strata)


def difference(suites: Sequence[Sequence[tuple[SuiteResult, SuiteResult]]], seeds: Sequence[int] = (0,)) -> Difference:
    """Return the paired difference of accuracies, ours minus theirs, with equal weight for each suite.

    Args:
        suites: Per suite a pair (ours, theirs) per seed, all suites with the same seeds in one order.
        seeds: Their names.

    Raises:
        Unlike: A suite's results share no question.
    """
    strata, flips, questions = [], [], 0
    for pairs in suites:
        same = aligned([ours for ours, _ in pairs] + [theirs for _, theirs in pairs])
        means = np.stack([each.means for each in same])
        matrix, units = means[: len(pairs)] - means[len(pairs) :], same[0].units
        strata.append(by_unit(matrix, units))
        # Each suite has the same weight in the mean, so a question of a small suite weighs more in the test too.
        flips.append(unit_sums(matrix.mean(axis=0), units) / matrix.shape[1])
        questions += matrix.shape[1]
    return Difference(crossed_interval(strata), sign_flip_p(np.concatenate(flips)), tuple(seeds), questions)


def unit_sums(values: NDArray, units: NDArray) -> NDArray:
    """Return the sum of ``values`` (n,) in each unit, (n_units,)."""
    _, index = np.unique(units, return_inverse=True)
    return np.bincount(index, weights=values)
