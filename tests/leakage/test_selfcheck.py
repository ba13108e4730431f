"""The planted self-check recovers what was planted, and fails when the detector does."""

import json
import random

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.leakage import selfcheck
from rlsd_cli.leakage.detect import leaks
from rlsd_cli.leakage.inputs import Columns, completions_source
from rlsd_cli.leakage.selfcheck import RATES, Recovery, built_in, plant, planted, plants, self_check


def test_planted_rates_are_recovered_exactly_with_decoys_around():
    recoveries = self_check(count=400)
    assert [recovery.planted for recovery in recoveries] == [round(rate * 400) for rate in RATES]
    assert [recovery.recovered for recovery in recoveries] == [recovery.planted for recovery in recoveries]
    assert all(recovery.passed for recovery in recoveries)


def test_mentions_and_decoys_are_planted_at_the_known_rate():
    clean = built_in(200, seed=0)
    made, mentions = planted(clean, 0.2, seed=0)
    changed = [new.text for old, new in zip(clean, made, strict=True) if new.text != old.text]
    assert mentions == 40
    assert 100 <= len(changed) <= 140  # 40 mentions, and decoys in about half of the other 160
    assert [c.text for c in planted(clean, 0.2, seed=0)[0]] == [c.text for c in made]


def test_built_in_completions_are_clean_and_of_both_styles():
    clean = built_in(40, seed=3)
    assert not any(leaks(c.text, c.prompt) for c in clean)
    assert sum(" ; answer " in c.text for c in clean) == 20


@pytest.mark.parametrize("text", ["One. Two. Three.", "1 + 1 = 2 ; 2 + 2 = 4 ; answer 4", "no boundary"])
def test_a_plant_keeps_the_text_around_it(text):
    for seed in range(20):
        made = plant(text, "the reference says", random.Random(seed))
        assert made.replace("the reference says", "").split() == text.split()


def test_a_detector_that_misses_fails_the_check(monkeypatch):
    monkeypatch.setitem(plants(), "mentions", ["Nobody would find this."])
    monkeypatch.setitem(plants(), "testbed_mentions", ["note"])
    assert not all(recovery.passed for recovery in self_check(count=100))


def test_a_detector_that_counts_words_fails_the_check(monkeypatch):
    monkeypatch.setitem(plants(), "decoys", plants()["mentions"])
    recoveries = self_check(count=100)
    assert not recoveries[0].passed


def test_nothing_may_be_found_where_nothing_is_planted():
    assert not Recovery(1000, 0, 1).passed
    assert Recovery(1000, 0, 0).passed
    assert not Recovery(1000, 100, 60).passed


def test_completions_of_the_user_are_used_where_they_are_clean(tmp_path):
    path = tmp_path / "x.jsonl"
    texts = [f"The total is {i}. That is all." for i in range(60)] + ["The reference solution says 7."] * 5
    path.write_text("".join(json.dumps({"completion": text}) + "\n" for text in texts))
    recoveries = self_check(completions_source(path, Columns()))
    assert {recovery.n for recovery in recoveries} == {60}
    assert all(recovery.passed for recovery in recoveries)
    path.write_text(json.dumps({"completion": "The reference solution says 7."}) + "\n")
    with pytest.raises(UserError, match="no completion without a match"):
        self_check(completions_source(path, Columns()))


def test_plants_are_not_among_the_labelled_passages():
    from pathlib import Path

    labelled = "".join(path.read_text() for path in (Path(__file__).parent / "labelled").glob("*.jsonl"))
    for group in ("mentions", "decoys"):
        for sentence in selfcheck.plants()[group]:
            assert json.dumps(sentence)[1:-1] not in labelled
