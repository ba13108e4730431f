"""How often the intervals of a comparison hold the truth, by simulation: few seeds, accuracies, shared derivations."""

import numpy as np
import pytest

from rlsd_cli.statistics import by_unit, crossed_interval, t_interval

pytestmark = pytest.mark.slow
REPEATS = 2000  # a share of 0.95 has a standard error of 0.005


def covers(draw, interval):
    """Return the share of draws whose interval holds the truth, 0."""
    return np.mean([low <= 0 <= high for _, low, high, _ in (interval(draw()) for _ in range(REPEATS))])


def gaussian(rng, seeds, ratio, suites=5, questions=60):
    """Differences whose seeds' standard deviation is ``ratio`` standard errors over the questions."""
    own = rng.normal(size=(seeds, 1)) * ratio / np.sqrt(suites * questions)
    return [own + rng.normal(size=(1, questions)) + 0.7 * rng.normal(size=(seeds, questions)) for _ in range(suites)]


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.0, 5.0])
def test_the_crossed_interval_covers_with_few_seeds(seeds, ratio):
    rng = np.random.default_rng([seeds, int(ratio)])
    assert 0.94 <= covers(lambda: gaussian(rng, seeds, ratio), crossed_interval) <= 0.998


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_it_covers_for_accuracies_of_four_samples_near_the_end_of_the_scale(seeds):
    rng = np.random.default_rng(seeds)

    def accuracies():
        skill = 3.2 + 0.3 * rng.normal(size=(seeds, 1))
        chance = [1 / (1 + np.exp(-(skill + 1.5 * rng.normal(size=(1, 100))))) for _ in range(5)]
        return [rng.binomial(4, each) / 4 for each in chance]

    truth = np.mean([np.mean([each.mean() for each in accuracies()]) for _ in range(20_000 // 5)])
    assert covers(lambda: [each - truth for each in accuracies()], crossed_interval) >= 0.94


def test_seeds_scored_on_the_same_derivations_are_not_covered_by_an_interval_over_seeds_alone():
    rng = np.random.default_rng(0)

    def hits():  # each derivation has a chance of its own, which all five models share
        difficulty = rng.beta(1.5, 1.5, size=(1, 400))
        return (rng.random((5, 400)) < difficulty) - 0.5

    assert covers(hits, lambda each: crossed_interval([each])) >= 0.94
    assert covers(hits, lambda each: t_interval(each.mean(axis=1))) < 0.85


def test_questions_of_one_problem_count_as_one_unit():
    rng = np.random.default_rng(1)
    units = np.repeat(np.arange(40), 4)[: 40 * 4 - 20]

    def draw():
        return (rng.normal(size=40)[units] + 0.3 * rng.normal(size=len(units)))[None]

    assert covers(draw, lambda each: crossed_interval([by_unit(each, units)])) >= 0.935
    assert covers(draw, lambda each: crossed_interval([each])) < 0.8
