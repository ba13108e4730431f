"""Accuracy against what it costs: the figure and the table."""

import numpy as np
import pytest
from support.synthetic_runs import write_run

from rlsd_cli.report.comparison import compare
from rlsd_cli.report.cost import spent
from rlsd_cli.report.figures import FIGURES
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.tables import TABLES

STEPS = 60
T = np.linspace(0, 1, STEPS)


def course(until, length, seconds):
    return {
        "reward": 0.4 + 0.3 * np.minimum(T / until, 1.0),
        "completions/mean_length": np.full(STEPS, float(length)),
        "time/step_s": np.full(STEPS, float(seconds)),
    }


@pytest.fixture
def runs(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"grpo-{seed}", "grpo", seed, metrics=course(0.9, 20, 1.0))
        write_run(tmp_path / f"rlsd-{seed}", "rlsd", seed, metrics=course(0.3, 10, 2.0))
    return compare(find_runs([tmp_path]))


# By hand: 16 × 8 rollouts a step of 20 tokens for 60 steps are 153,600 tokens; 2 seconds a step are 120.
def test_what_a_training_has_spent(runs):
    assert spent(runs.variants["grpo"], "tokens")[1][0, -1] == 153_600
    assert spent(runs.variants["rlsd"], "seconds")[1][0, -1] == 120
    assert spent(runs.variants["rlsd"], "rollouts")[1][0].tolist() == [128 * step for step in range(1, 61)]
    with pytest.raises(ValueError, match="no cost in 'joules'"):
        spent(runs.variants["grpo"], "joules")


def test_the_figure_has_tokens_on_one_side_and_seconds_on_the_other(runs):
    axes = FIGURES["efficiency"](runs).figure.axes
    ends = [
        {line.get_label(): line.get_xdata()[-1] for line in each.lines if not line.get_label().startswith("_")}
        for each in axes
    ]
    assert ends[0] == {"GRPO": pytest.approx(153.6), "RLSD": pytest.approx(76.8)}
    assert ends[1] == {"GRPO": pytest.approx(60.0), "RLSD": pytest.approx(120.0)}


# GRPO is within 0.02 of its end, 0.7, at 0.84 of the training, RLSD at 0.28: a third of the steps, with half the tokens
# a step and twice the time: a sixth of the tokens, two thirds of the seconds, each to a part of five steps.
def test_the_table_says_what_it_takes_to_be_where_grpo_ends(runs):
    rows = dict(TABLES["costs"](runs).rows)
    tokens, seconds = rows["RLSD"][3:]
    assert tokens.value == pytest.approx(1 / 6, abs=0.06)
    assert seconds.value == pytest.approx(2 / 3, abs=0.2)
    assert rows["GRPO"][3].value is None
    assert rows["GRPO"][1].value == pytest.approx(153.6)


def test_an_arm_that_never_gets_there_is_named(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"grpo-{seed}", "grpo", seed, metrics=course(0.9, 20, 1.0))
        write_run(tmp_path / f"rlsd-{seed}", "rlsd", seed, metrics=course(5.0, 20, 1.0))
    cell = dict(TABLES["costs"](compare(find_runs([tmp_path]))).rows)["RLSD"][3]
    assert cell.text == "(3 of 3 never)"
    assert cell.value > 1


def test_runs_that_log_no_cost_are_left_out_with_the_reason(tmp_path):
    write_run(tmp_path / "grpo", "grpo", metrics={"reward": T})
    with pytest.raises(Missing, match="logs no"):
        FIGURES["efficiency"](compare(find_runs([tmp_path])))
    with pytest.raises(Missing, match="no run logs"):
        TABLES["costs"](compare(find_runs([tmp_path])))
