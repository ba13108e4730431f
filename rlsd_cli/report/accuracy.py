"""Accuracy on the suites: intervals over seeds and questions, and paired differences."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.evaluation.results import SuiteResult, rows_of
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.missing import Missing
from rlsd_cli.statistics import Interval, crossed_interval, sign_flip_p


@dataclass(frozen=True)
class Difference:
    """Variant minus baseline on matched seeds and questions.

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


def _aligned(results: Sequence[SuiteResult], what: str) -> NDArray:
    """Return (n_results, n_questions) on the questions that all results share."""
    if len({result.greedy for result in results}) > 1:
        raise Missing(f"{what}: some runs were evaluated greedily and some with samples")
    common = functools.reduce(np.intersect1d, [result.ids for result in results])
    if len(common) == 0:
        raise Missing(f"{what}: the runs answered different questions")
    return np.stack([result.means[np.searchsorted(result.ids, common)] for result in results])


def _seeds_with(variants: Sequence[Variant], suites: Sequence[str]) -> list[int]:
    each = [set(rows_of(variant, suite)) for variant in variants for suite in suites]
    return sorted(set.intersection(*each)) if each else []


def _pairs(variant: Variant, baseline: Variant, suites: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of seeds to compare: equal seeds; every seed of an arm with the one untrained model."""
    if variant.trained == baseline.trained:
        return [(seed, seed) for seed in _seeds_with([variant, baseline], suites)]
    ours, theirs = (_seeds_with([each], suites) for each in (variant, baseline))
    return list(itertools.product(ours, theirs))


def mean_interval(variant: Variant, suites: Sequence[str]) -> Interval:
    """Return accuracy averaged over suites with its 95 % interval over seeds and questions.

    Raises:
        Missing: No seed was evaluated on all the suites.
    """
    seeds = _seeds_with([variant], suites)
    if not seeds:
        raise Missing(f"no run of {variant.label} is evaluated on {', '.join(suites)}")
    strata = []
    for suite in suites:
        rows = rows_of(variant, suite)
        strata.append(_aligned([rows[seed] for seed in seeds], f"{variant.label} on {suite}"))
    return crossed_interval(strata)


def difference(variant: Variant, baseline: Variant, suites: Sequence[str]) -> Difference:
    """Return the paired difference on the seeds and questions that both were evaluated on.

    The untrained model is where every seed starts, so it is paired with all of them.

    Raises:
        Missing: They share no seed or no question.
    """
    pairs = _pairs(variant, baseline, suites)
    if not pairs:
        raise Missing(f"{variant.label} and {baseline.label} share no seed that is evaluated on {', '.join(suites)}")
    strata = []
    for suite in suites:
        ours, theirs = rows_of(variant, suite), rows_of(baseline, suite)
        both = [ours[left] for left, _ in pairs] + [theirs[right] for _, right in pairs]
        matrix = _aligned(both, f"{variant.label} and {baseline.label} on {suite}")
        strata.append(matrix[: len(pairs)] - matrix[len(pairs) :])
    # Each suite has the same weight in the mean, so a question of a small suite weighs more in the test too.
    by_question = np.concatenate([stratum.mean(axis=0) / stratum.shape[1] for stratum in strata])
    seeds = tuple(left if variant.trained else right for left, right in pairs)
    return Difference(crossed_interval(strata), sign_flip_p(by_question), seeds, by_question.size)


def samples_text(variants: Sequence[Variant], suites: Sequence[str]) -> str:
    """Say on how many questions and samples the accuracies rest, for captions."""
    results = [result for v in variants for suite in suites for result in rows_of(v, suite).values()]
    if not results:
        return "no evaluation"
    questions = sorted({len(result.ids) for result in results})
    counts = sorted({0 if result.greedy else result.samples for result in results})
    size = f"{questions[0]}" if len(questions) == 1 else f"{questions[0]} to {questions[-1]}"
    drawn = ", ".join("greedy" if k == 0 else f"{k} sample{'s' if k > 1 else ''}" for k in counts)
    return f"{size} questions per suite, {drawn} per question"
