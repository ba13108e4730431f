"""The delete-a-group jackknife against what is known otherwise."""

import numpy as np
import pytest

from rlsd_cli.statistics.intervals import t_interval
from rlsd_cli.statistics.jackknife import jackknife


def test_of_a_mean_it_is_the_t_interval():
    values = np.random.default_rng(1).random(30)
    found = jackknife(lambda rows: {"mean": values[rows].mean()}, [f"q{i}" for i in range(30)])["mean"]
    assert found == pytest.approx(t_interval(values))


def test_rows_of_one_unit_count_once():
    values = np.repeat(np.random.default_rng(1).random(10), 4)
    found = jackknife(lambda rows: {"mean": values[rows].mean()}, np.repeat(np.arange(10), 4).astype(str))["mean"]
    assert found == pytest.approx(t_interval(values[::4]))


def test_a_number_of_a_few_units_has_their_interval_not_that_of_all():
    values = np.random.default_rng(2).random(100)
    rare = np.arange(100) < 4

    def statistics(rows):
        return {"rare": values[rows][rare[rows]].mean()}

    found = jackknife(statistics, [str(i) for i in range(100)])["rare"]
    exact = t_interval(values[:4])
    assert found.mean == pytest.approx(exact.mean)
    # (G−1)/G · s²/(n−1) where the t interval has s²/n: wider by √(0.99 · 4/3).
    assert found.high - found.low == pytest.approx((exact.high - exact.low) * np.sqrt(0.99 * 4 / 3))


def test_groups_cover_a_ratio_as_often_as_they_say():
    rng, covered = np.random.default_rng(3), 0
    for _ in range(300):
        weight = rng.integers(1, 6, 120).astype(float)
        right = rng.binomial(weight.astype(int), 0.3).astype(float)

        def ratio(rows, weight=weight, right=right):
            return {"ratio": right[rows].sum() / weight[rows].sum()}

        found = jackknife(ratio, [str(i) for i in range(120)], groups=30)["ratio"]
        covered += found.low <= 0.3 <= found.high
    assert 0.92 <= covered / 300 <= 0.98


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0, 0.0]])
def test_without_spread_there_is_no_interval(values):
    found = jackknife(
        lambda rows: {"mean": float(np.mean(np.array(values)[rows]))}, [str(i) for i in range(len(values))]
    )
    assert not found["mean"].known


def test_what_some_group_alone_defines_has_no_interval():
    def statistics(rows):
        return {"all": float(len(rows)), **({"only": 1.0} if 0 in rows else {})}

    assert not jackknife(statistics, ["a", "b", "c"])["only"].known


def test_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        jackknife(lambda rows: {}, [])
