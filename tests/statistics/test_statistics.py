"""Every statistic against hand numbers, a brute-force count, or its coverage in simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rlsd_cli.statistics import (
    clustered_interval,
    crossed_interval,
    holm,
    pass_at_k,
    sign_flip_p,
    t_band,
    t_interval,
    wilson_interval,
)

# --- Student t -------------------------------------------------------------------------------------------------


def test_t_interval_of_three_seeds_is_the_textbook_one():
    # mean 2, sd 1, se 1/√3, t(2, .975) = 4.30265: half width 2.48414
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.low == pytest.approx(2.0 - 2.48414, abs=1e-5)
    assert interval.high == pytest.approx(2.0 + 2.48414, abs=1e-5)
    assert interval.n == 3


def test_one_seed_has_a_mean_and_no_interval():
    interval = t_interval([0.7])
    assert interval.mean == 0.7
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.known


def test_band_is_the_interval_of_each_step():
    values = np.random.default_rng(0).normal(size=(5, 7))
    mean, low, high = t_band(values)
    for step in range(7):
        interval = t_interval(values[:, step])
        np.testing.assert_allclose([mean[step], low[step], high[step]], interval[:3], rtol=1e-13)


def test_t_interval_covers_its_nominal_share_with_three_seeds_where_a_bootstrap_does_not():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 3))
    _, low, high = t_band(draws.T)
    covered = np.mean((low <= 0) & (high >= 0))
    assert covered == pytest.approx(0.95, abs=0.015)
    resampled = draws[:, rng.integers(0, 3, (500, 3))].mean(axis=2)  # (4000, 500)
    ends = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert np.mean((ends[0] <= 0) & (ends[1] >= 0)) < 0.80


@pytest.mark.parametrize("values", [[], np.zeros((0, 4))])
def test_band_without_a_seed_is_refused(values):
    with pytest.raises(ValueError, match="at least one seed"):
        t_band(values)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_outside_zero_and_one_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence"):
        t_interval([1.0, 2.0], confidence)


# --- Wilson ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_equals_scipys(count):
    successes, trials = count
    ours = wilson_interval(successes, trials)
    theirs = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


def test_wilson_interval_of_no_success_starts_at_zero_and_is_not_empty():
    interval = wilson_interval(0, 100)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(0.03699, abs=1e-5)  # z²/(n+z²) with z = 1.95996


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_interval_of_an_impossible_count_is_refused(successes, trials):
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, trials)


# --- clustered by question -------------------------------------------------------------------------------------


def test_clustered_interval_uses_question_means():
    # question means 1, 0.5, 0: mean 0.5, sd 0.5, se 0.5/√3, t(2) = 4.30265
    interval = clustered_interval([1, 1, 1, 0, 0, 0], ["a", "a", "b", "b", "c", "c"])
    assert interval.mean == 0.5
    assert interval.high - interval.mean == pytest.approx(4.30265 * 0.5 / math.sqrt(3), abs=1e-4)
    assert interval.n == 3


def test_each_question_weighs_the_same_however_often_it_was_sampled():
    assert clustered_interval([1, 1, 1, 1, 0], [0, 0, 0, 0, 1]).mean == 0.5


def test_more_samples_of_the_same_answers_do_not_make_the_interval_narrower():
    once = clustered_interval([1, 0, 1, 0], [0, 1, 2, 3])
    often = clustered_interval([1, 0, 1, 0] * 50, [0, 1, 2, 3] * 50)
    assert often.low == pytest.approx(once.low)
    assert often.n == once.n


@pytest.mark.parametrize("answer", [0, 1])
def test_all_equal_answers_get_wilsons_interval_instead_of_width_zero(answer):
    interval = clustered_interval([answer] * 20, list(range(10)) * 2)
    assert interval == wilson_interval(10 * answer, 10)
    assert interval.high - interval.low > 0.2


def test_clustered_interval_covers_where_the_pooled_one_does_not():
    # 60 questions of very different difficulty, 16 samples each; the truth is the mean difficulty, 1/2.
    rng = np.random.default_rng(2)
    questions = np.repeat(np.arange(60), 16)
    clustered, pooled = [], []
    for _ in range(1500):
        difficulty = rng.beta(0.5, 0.5, 60)
        answers = rng.random(960) < np.repeat(difficulty, 16)
        interval = clustered_interval(answers, questions)
        clustered.append(interval.low <= 0.5 <= interval.high)
        wrong = wilson_interval(int(answers.sum()), 960)
        pooled.append(wrong.low <= 0.5 <= wrong.high)
    assert np.mean(clustered) == pytest.approx(0.95, abs=0.015)
    assert np.mean(pooled) < 0.6


def test_clustered_interval_refuses_arrays_of_two_lengths():
    with pytest.raises(ValueError, match="one length"):
        clustered_interval([1, 0], [0])


# --- seeds × questions -----------------------------------------------------------------------------------------


def test_crossed_interval_by_hand():
    # y = [[1, 2, 3], [3, 4, 8]]: seed means 2, 5 (variance 4.5, over S=2: 2.25); question means 2, 3, 5.5
    # (variance 3.25, over Q=3: 1.08333); residuals ±[0.5, 0.5, -1]: SS 3, /2 df = 1.5, over SQ=6: 0.25.
    # t(1)²·2.25 + t(2)²·(1.08333 − 0.25), t(1) = 12.7062, t(2) = 4.30265.
    interval = crossed_interval([[[1, 2, 3], [3, 4, 8]]])
    assert interval.mean == 3.5
    assert interval.high - 3.5 == pytest.approx(math.sqrt(12.7062047**2 * 2.25 + 4.30265273**2 * 0.8333333), rel=1e-6)
    assert interval.n == 2


def test_one_seed_falls_back_on_the_questions():
    row = np.random.default_rng(3).random((1, 40))
    assert crossed_interval([row])[:3] == pytest.approx(t_interval(row[0])[:3])


def test_one_question_falls_back_on_the_seeds():
    column = np.random.default_rng(4).random((5, 1))
    assert crossed_interval([column])[:3] == pytest.approx(t_interval(column[:, 0])[:3])


def test_one_seed_and_one_question_have_no_interval():
    assert not crossed_interval([[[0.4]]]).known


def test_identical_suites_do_not_count_twice_for_the_seeds():
    # The seeds are the same in both suites, so a second copy narrows the questions' part only.
    rng = np.random.default_rng(5)
    values = rng.normal(size=(4, 1)) * 2 + rng.normal(size=(4, 200)) * 0.01
    one, two = crossed_interval([values]), crossed_interval([values, values])
    assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.01)


@pytest.mark.parametrize(("seed_sd", "question_sd"), [(0.1, 0.3), (0.0, 0.3), (0.3, 0.1), (0.0, 0.0)])
def test_crossed_interval_covers_when_seeds_or_questions_or_neither_vary(seed_sd, question_sd):
    rng = np.random.default_rng(6)
    covered = []
    for _ in range(1500):
        suites = []
        seeds = rng.normal(size=(4, 1)) * seed_sd
        for count in (40, 25):
            questions = rng.normal(size=(1, count)) * question_sd
            suites.append(seeds + questions + rng.normal(size=(4, count)) * 0.4)
        interval = crossed_interval(suites)
        covered.append(interval.low <= 0 <= interval.high)
    # Never below what it says; wider than needed where one part is zero.
    assert 0.94 <= np.mean(covered) <= 0.995


def test_question_interval_alone_would_not_cover_when_the_seeds_vary():
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(500):
        values = rng.normal(size=(3, 1)) * 0.2 + rng.normal(size=(3, 60)) * 0.4
        interval = t_interval(values.mean(axis=0))
        covered.append(interval.low <= 0 <= interval.high)
    assert np.mean(covered) < 0.7


@pytest.mark.parametrize("strata", [[], [np.zeros((0, 3))], [np.zeros((2, 3)), np.zeros((3, 3))]])
def test_crossed_interval_refuses_what_has_no_common_seeds(strata):
    with pytest.raises(ValueError, match=r"shape|seeds"):
        crossed_interval(strata)


# --- pass@k ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_equals_the_share_of_all_draws_with_a_right_sample(case):
    samples, correct, k = case
    answers = [True] * correct + [False] * (samples - correct)
    draws = list(itertools.combinations(answers, k))
    share = sum(any(draw) for draw in draws) / len(draws)
    assert pass_at_k([correct], samples, k)[0] == pytest.approx(share, abs=1e-12)


def test_pass_at_one_is_the_share_of_right_samples():
    np.testing.assert_allclose(pass_at_k([0, 3, 8], 8, 1), [0.0, 0.375, 1.0])


def test_pass_at_k_does_not_overflow_with_many_samples():
    # 1 right of 100,000: the chance to be among 50,000 drawn is one half.
    assert pass_at_k([1], 100_000, 50_000)[0] == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(("correct", "samples", "k"), [([1], 4, 5), ([1], 4, 0), ([5], 4, 2), ([-1], 4, 2)])
def test_pass_at_k_refuses_more_draws_than_samples_and_impossible_counts(correct, samples, k):
    with pytest.raises(ValueError, match=r"pass@k|counts"):
        pass_at_k(correct, samples, k)


# --- paired tests ----------------------------------------------------------------------------------------------


def test_sign_flip_p_of_three_equal_differences_is_a_quarter():
    # Of 8 sign patterns only +++ and −−− reach |sum| = 3.
    assert sign_flip_p([1.0, 1.0, 1.0]) == 0.25


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_sign_flip_p_equals_the_count_over_all_patterns(differences):
    observed = abs(sum(differences))
    patterns = list(itertools.product((-1, 1), repeat=len(differences)))
    extreme = sum(abs(sum(s * d for s, d in zip(p, differences, strict=True))) >= observed for p in patterns)
    assert sign_flip_p(differences) == pytest.approx(extreme / len(patterns))


def test_drawn_patterns_agree_with_the_enumeration():
    # Fifteen differences are drawn, but one of 1e-12 changes no sum: the exact value is that of fourteen.
    rng = np.random.default_rng(8)
    differences = rng.normal(0.3, 1.0, 14)
    exact = sign_flip_p(differences)
    drawn = sign_flip_p([*differences, 1e-12], resamples=20_000)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


def test_sign_flip_p_is_the_same_each_time():
    differences = np.random.default_rng(9).normal(size=200)
    assert sign_flip_p(differences) == sign_flip_p(differences)


def test_sign_flip_p_is_never_zero_and_one_when_nothing_differs():
    assert sign_flip_p(np.ones(300), resamples=500) == pytest.approx(1 / 501)
    assert sign_flip_p(np.zeros(300)) == 1.0


def test_sign_flip_p_rejects_one_in_twenty_when_there_is_no_difference():
    rng = np.random.default_rng(10)
    rejected = [sign_flip_p(rng.normal(size=30), resamples=400, seed=i) <= 0.05 for i in range(1500)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.015)


def test_a_paired_test_without_a_question_is_refused():
    with pytest.raises(ValueError, match="at least one question"):
        sign_flip_p([])


def test_holm_by_hand():
    # sorted .01 .02 .03 .20 times 4 3 2 1 = .04 .06 .06 .20, made non-decreasing
    np.testing.assert_allclose(holm([0.20, 0.01, 0.03, 0.02]), [0.20, 0.04, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.2))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, alpha):
    rejected, remaining = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
    while remaining and p_values[remaining[0]] * len(remaining) <= alpha:
        rejected.add(remaining.pop(0))
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_holm_of_nothing_is_nothing():
    assert holm([]).shape == (0,)
