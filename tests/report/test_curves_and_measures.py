"""Curves over steps and per-seed numbers, against slow and plain computations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import write_run

from rlsd_cli.report.comparison import compare
from rlsd_cli.report.curves import curve, running_mean, seed_matrix
from rlsd_cli.report.measures import blocks, fifths, left_out_peak, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs
from rlsd_cli.statistics import t_interval


def variant(tmp_path, *seeds, label="grpo"):
    """Write one run per given dict of metrics and return the variant."""
    for number, metrics in enumerate(seeds):
        write_run(tmp_path / f"{label}-{number}", "grpo", number, label=label, metrics=metrics)
    return compare(find_runs([tmp_path])).variants[label]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.sampled_from([1, 3, 5, 7]))
def test_running_mean_equals_the_loop(values, window):
    reach = window // 2
    expected = [np.mean(values[max(i - reach, 0) : i + reach + 1]) for i in range(len(values))]
    np.testing.assert_allclose(running_mean(np.array(values), window), expected, atol=1e-12)


@pytest.mark.parametrize("window", [0, 2, -1])
def test_running_mean_refuses_a_window_without_a_middle(window):
    with pytest.raises(ValueError, match="odd"):
        running_mean(np.zeros(4), window)


def test_a_long_curve_is_smoothed_and_says_so(tmp_path):
    values = [np.random.default_rng(i).random(60) for i in range(3)]
    line = curve(variant(tmp_path, *({"reward": each} for each in values)), "reward")
    assert line.window == 5
    smoothed = running_mean(np.stack(values), 5)
    np.testing.assert_allclose(line.seeds, smoothed)
    interval = t_interval(smoothed[:, 30])
    assert (line.mean[30], line.low[30], line.high[30]) == pytest.approx(interval[:3])


def test_a_short_curve_is_shown_as_it_is(tmp_path):
    values = np.random.default_rng(0).random(49)
    line = curve(variant(tmp_path, {"reward": values}), "reward")
    assert line.window == 1
    np.testing.assert_allclose(line.mean, values)
    assert np.isnan(line.low).all()


def test_probe_metrics_are_not_smoothed(comparison):
    line = curve(comparison.variants["grpo"], "probe/accuracy")
    assert line.window == 1
    np.testing.assert_array_equal(line.steps, np.arange(5, 61, 5))


def test_seeds_are_cut_to_the_steps_that_all_of_them_logged(tmp_path):
    some = variant(tmp_path, {"reward": np.arange(6.0)}, {"reward": np.where(np.arange(6) == 2, np.nan, 1.0)})
    steps, values, seeds = seed_matrix(some, "reward")
    np.testing.assert_array_equal(steps, [1, 2, 4, 5, 6])
    np.testing.assert_array_equal(values[0], [0, 1, 3, 4, 5])
    assert seeds == (0, 1)


def test_a_metric_that_no_run_logs_is_missing_by_name(tmp_path):
    with pytest.raises(Missing, match="grpo logs no entropy"):
        seed_matrix(variant(tmp_path, {"reward": np.ones(5)}), "entropy")


def test_blocks_are_means_of_equal_parts(tmp_path):
    seeds, values = fifths(variant(tmp_path, {"reward": np.arange(10.0)}), "reward")
    assert seeds == (0,)
    np.testing.assert_allclose(values, [[0.5, 2.5, 4.5, 6.5, 8.5]])


def test_fewer_steps_than_blocks_are_missing(tmp_path):
    with pytest.raises(Missing, match="at 4 steps only, 10 are needed"):
        blocks(variant(tmp_path, {"reward": np.ones(4)}), "reward")


def test_matched_pairs_rows_of_the_same_seed():
    ours = (0, 2, 5), np.array([[1.0], [2.0], [3.0]])
    theirs = (5, 0), np.array([[30.0], [10.0]])
    seeds, left, right = matched(ours, theirs)
    assert seeds == (0, 5)
    np.testing.assert_array_equal(left, [[1.0], [3.0]])
    np.testing.assert_array_equal(right, [[10.0], [30.0]])


def test_matched_without_a_common_seed_is_missing():
    with pytest.raises(Missing, match="share no seed"):
        matched(((0,), np.ones((1, 1))), ((1,), np.ones((1, 1))))


def test_the_peak_is_read_where_the_other_seeds_have_theirs():
    values = np.array([[0.0, 5.0, 1.0], [0.0, 1.0, 9.0], [0.0, 2.0, 3.0]])
    # Others' means: seed 0: [0, 1.5, 6] -> 2; seed 1: [0, 3.5, 2] -> 1; seed 2: [0, 3, 5] -> 2.
    peak, places = left_out_peak(values)
    np.testing.assert_array_equal(places, [2, 1, 2])
    np.testing.assert_array_equal(peak, [1.0, 1.0, 3.0])


def test_a_flat_noisy_curve_shows_no_fall_from_its_peak_unlike_the_plain_maximum():
    rng = np.random.default_rng(0)
    fair, plain = [], []
    for _ in range(400):
        values = rng.normal(size=(5, 20))
        fair.append((left_out_peak(values)[0] - values[:, -1]).mean())
        plain.append((values.max(axis=1) - values[:, -1]).mean())
    assert np.mean(fair) == pytest.approx(0.0, abs=0.1)
    assert np.mean(plain) > 1.5
