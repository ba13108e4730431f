"""The tests of --diff against published worked examples."""

import math

import pytest

from rlsd_cli.leakage.compare import compare
from rlsd_cli.leakage.tally import Tally
from rlsd_cli.leakage.trend import Trend, cochran_armitage, slopes_differ, two_proportions


def test_the_trend_test_gives_agrestis_alcohol_and_malformation_example():
    # Agresti, Categorical Data Analysis, table 3.7: scores 0, 0.5, 1.5, 4, 7; M² = (n − 1) r² = 6.57, p = 0.010.
    n = [17114, 14502, 793, 127, 38]
    trend = cochran_armitage([0, 0.5, 1.5, 4, 7], [48, 38, 5, 1, 1], n)
    assert trend is not None
    assert trend.z**2 * (sum(n) - 1) / sum(n) == pytest.approx(6.57, abs=0.005)
    assert trend.p == pytest.approx(0.0104, abs=0.0002)
    assert trend.slope > 0


def test_the_slope_is_that_of_a_straight_line_of_shares():
    trend = cochran_armitage([0, 10, 20], [10, 20, 30], [100, 100, 100])
    assert trend is not None
    assert trend.slope == pytest.approx(0.01)
    variance = 100 * (100 * 0.1 * 0.9 + 100 * 0.3 * 0.7) / (100 * 200) ** 2  # Σ n (x − x̄)² p (1 − p) / (Σ n (x − x̄)²)²
    assert trend.slope_error == pytest.approx(math.sqrt(variance))


def test_a_trend_turns_its_sign_with_the_steps_and_does_not_care_about_their_unit():
    up = cochran_armitage([1, 2, 3], [1, 5, 9], [50, 50, 50])
    down = cochran_armitage([3, 2, 1], [1, 5, 9], [50, 50, 50])
    scaled = cochran_armitage([100, 200, 300], [1, 5, 9], [50, 50, 50])
    assert up.z == pytest.approx(-down.z)
    assert scaled.z == pytest.approx(up.z)


@pytest.mark.parametrize(
    ("steps", "hits"), [([1], [3]), ([1, 2], [0, 0]), ([1, 2], [9, 9]), ([2, 2], [3, 4]), ([], [])]
)
def test_where_there_is_nothing_to_test_there_is_no_trend(steps, hits):
    assert cochran_armitage(steps, hits, [9] * len(steps)) is None


def test_the_interval_of_a_difference_is_newcombes():
    # Newcombe 1998, table II (a): 56/70 against 48/80, difference 0.2, method 10: 0.0524 to 0.3339.
    test = two_proportions(48, 80, 56, 70)
    assert test.difference == pytest.approx(0.2)
    assert test.low == pytest.approx(0.0524, abs=5e-5)
    assert test.high == pytest.approx(0.3339, abs=5e-5)
    assert test.z == pytest.approx(0.2 / math.sqrt(104 / 150 * 46 / 150 * (1 / 70 + 1 / 80)))
    assert test.test.startswith("two-proportion")


def test_small_counts_are_tested_exactly():
    # Fisher's tea tasting, 3 of 4 against 1 of 4: two-sided p = 34/70.
    test = two_proportions(3, 4, 1, 4)
    assert test.p == pytest.approx(34 / 70)
    assert test.test == "Fisher's exact test"
    nothing = two_proportions(0, 100, 0, 100)
    assert nothing.p == 1.0
    assert nothing.difference == 0.0
    assert math.isnan(nothing.z)


def test_slopes_are_compared_by_their_errors():
    z, p = slopes_differ(Trend(0, 1, 0.01, 0.003), Trend(0, 1, 0.02, 0.004))
    assert z == pytest.approx(2.0)
    assert p == pytest.approx(0.0455, abs=1e-4)
    assert math.isnan(slopes_differ(Trend(0, 1, 0.0, 0.0), Trend(0, 1, 0.0, 0.0))[0])


def test_a_comparison_holds_every_rule_and_adjusts_for_their_number():
    from rlsd_cli.leakage.detect import Hit
    from rlsd_cli.leakage.inputs import Completion
    from rlsd_cli.leakage.rules import load_rules

    def report(hits: int) -> dict:
        tally = Tally(load_rules().families)
        for index in range(200):
            completion = Completion("the hint says so", "", "", index % 4, "x", index + 1)
            tally.add(completion, [Hit("hint", 0, 13, "the hint says")] if index < hits else [], [], None)
        return {**tally.report(), "input": {"name": f"{hits} hits"}}

    result = compare(report(10), report(60))
    assert result["difference"]["difference"] == pytest.approx(0.25)
    rows = {row["rule"]: row for row in result["by_rule"]}
    assert rows["hint"]["p_holm"] == pytest.approx(min(1.0, len(rows) * rows["hint"]["p"]))
    assert rows["answer_key"]["p_holm"] == 1.0
    assert result["answer_before_derivation"] is None
    assert result["trend"]["a"]["test"] == "Cochran-Armitage"
    assert 0 <= result["slopes"]["p"] <= 1
