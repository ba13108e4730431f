"""An arm from outside the package: drawn as its record says, told apart everywhere, judged by the claims it brings."""

import json

import numpy as np
import pytest
from matplotlib import pyplot as plt
from synthetic_runs import write_run

from rlsd_cli.arms import look_of
from rlsd_cli.report.cards import built_in_cards
from rlsd_cli.report.claims import examine
from rlsd_cli.report.claims.papers import claims_of_arm
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.document import document
from rlsd_cli.report.figures import FIGURES
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.style import ARMS, styled, styles
from rlsd_cli.report.tables.beside import beside
from rlsd_cli.report.tables.paradigms import table1

METHOD = "mylab.positive"
CARD = {
    "name": METHOD,
    "look": {"title": "Positive", "colour": "#117733", "line": [3, 1], "marker": "H"},
    "summary": "learns from right answers only",
    "data": "on-policy",
    "direction": "environment",
    "needs_teacher": False,
    "claims": ["above_grpo", "does_not_leak", "no_such_claim"],
}


def outside_run(path, seed, card, reward):
    """Write a run of an arm that is no part of the package, as training would."""
    noise = 0.01 * np.random.default_rng(seed).normal(size=60)
    write_run(path, METHOD, seed, metrics={"reward": reward + noise, "leakage/rate": np.zeros(60)})
    provenance = {"attempts": [{"started": "2026-01-02T03:04:05+00:00"}], "arm": card}
    (path / "provenance.json").write_text(json.dumps(provenance))


def runs_with(tmp_path, card):
    for seed in range(3):
        outside_run(tmp_path / f"own-{seed}", seed, card, 0.7)
        write_run(tmp_path / f"grpo-{seed}", "grpo", seed, metrics={"reward": 0.5 + 0.001 * np.arange(60) / 60})
    return compare(find_runs([tmp_path]))


def test_it_is_drawn_in_its_own_colour_under_its_own_name(tmp_path):
    runs = runs_with(tmp_path, CARD)
    look = styles(runs.arms)[METHOD]
    assert (look.name, look.colour, look.line, look.marker) == ("Positive", "#117733", (0, (3.0, 1.0)), "H")
    with styled("paper"):
        for name in ("overview", "reward"):
            figure = FIGURES[name](runs).figure
            drawn = {line.get_label(): line.get_color() for line in figure.axes[0].get_lines()}
            assert drawn["Positive"] == "#117733"
            assert drawn["GRPO"] == ARMS["grpo"].colour
    plt.close("all")
    assert any(name.startswith("Positive (n=3)") for name, _ in table1(runs).rows)


def test_it_is_judged_by_the_claims_that_it_brings_and_by_no_unknown_one(tmp_path):
    runs = runs_with(tmp_path, CARD)
    page = examine(runs)
    found = {claim.statement: finding.verdict for claim, finding in page.claims if claim.key.startswith(METHOD)}
    assert found == {"Positive ends above GRPO": "seen", "Positive does not leak": "seen"}
    text = document(runs, page, [], [], tmp_path, "")
    assert "| Positive ends above GRPO |" in text
    assert f"| {METHOD} | {METHOD} | 0, 1, 2 | 60 | 0.0001 | – | – |" in text  # no teacher, whatever the settings say


@pytest.mark.parametrize(
    "card", [None, {}, {"look": {"colour": "red"}, "claims": 7}, "text", {"look": {"marker": "$x$"}}]
)
def test_a_damaged_card_leaves_a_look_made_from_its_name(tmp_path, card):
    runs = runs_with(tmp_path, card)
    assert styles(runs.arms)[METHOD].colour == look_of(METHOD).colour
    assert not [claim for claim, _ in examine(runs).claims if claim.key.startswith(METHOD)]


def test_evaluated_it_stands_beside_the_others(tmp_path):
    for method in (METHOD, "grpo"):
        write_run(tmp_path / method, method)
    assert [name for name, _ in beside(compare(find_runs([tmp_path]))).rows][-1] == look_of(METHOD).title


def test_every_claim_that_an_arm_of_the_package_brings_is_one_that_there_is():
    brought = {card.name: card.claims for card in built_in_cards()}
    assert brought["rlcsd"]
    for name, keys in brought.items():
        assert len(claims_of_arm(name, name, keys)) == len(keys), name
