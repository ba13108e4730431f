"""The labelled passages: what they hold, what the rules make of them, and the scoring itself."""

from collections import Counter
from pathlib import Path

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.early import EARLY_RULE
from rlsd_cli.leakage.rules import load_rules
from rlsd_cli.leakage.score import read_passages, score_rules

LABELLED = Path(__file__).parent / "labelled"
APART = ("sentences_test.jsonl", "passages_test.jsonl")


def passages(pattern: str) -> list[dict]:
    return [passage for path in sorted(LABELLED.glob(pattern)) for passage in read_passages(path)]


def test_the_set_is_large_balanced_and_in_three_styles():
    mentions = [p for p in passages("*.jsonl") if p["task"] == "mention"]
    leaks = sum(p["leak"] for p in mentions)
    assert len(mentions) >= 400
    assert 0.45 < leaks / len(mentions) < 0.55
    assert set(Counter(p["style"] for p in mentions)) == {"chat", "maths", "testbed"}
    assert min(Counter(p["style"] for p in mentions).values()) >= 80


def test_no_passage_stands_on_both_sides_of_the_split():
    def key(passage):
        return passage["task"], passage["prompt"], passage["completion"]

    dev = {key(p) for p in passages("*_dev.jsonl")}
    apart = {key(p) for p in passages("*_test.jsonl")}
    assert dev
    assert apart
    assert not dev & apart


def test_every_family_of_rules_has_leaks_on_both_sides():
    names = {rule.name for rule in load_rules().rules} | {EARLY_RULE}
    for pattern in ("*_dev.jsonl", "*_test.jsonl"):
        assert {p["rule"] for p in passages(pattern) if p["leak"]} == names


def test_held_apart_passages_meet_the_targets_and_the_numbers_that_reports_carry():
    scores = score_rules([p for name in APART for p in read_passages(LABELLED / name)])
    mentions = scores[0]
    assert mentions.precision.mean >= 0.97
    assert mentions.recall.mean >= 0.95
    assert load_rules().measured == {
        "passages": mentions.passages,
        "leaks": mentions.leaks,
        "precision": round(mentions.precision.mean, 3),
        "recall": round(mentions.recall.mean, 3),
    }


def test_scores_count_right_found_and_missed():
    made = [
        {"completion": "The reference solution says 7.", "leak": True, "rule": "reference_solution", "style": "chat"},
        {"completion": "The reference solution says 8.", "leak": False, "style": "chat"},
        {"completion": "Somebody whispered 7 to me.", "leak": True, "rule": "hint", "style": "maths"},
        {"completion": "It is 7.", "leak": False, "style": "maths"},
        {"completion": "The answer is 6: 2 * 3 = 6.", "leak": True, "rule": EARLY_RULE, "task": "early", "answer": "6"},
    ]
    scores = {score.name: score for score in score_rules(made)}
    every = scores["all mentions"]
    assert (every.passages, every.leaks, every.found, every.right) == (4, 2, 2, 1)
    assert every.precision.mean == 0.5
    assert every.recall.mean == 0.5
    assert scores["style maths"].recall.mean == 0.0
    assert scores["style maths"].precision.n == 0
    assert scores["hint"].recall.mean == 0.0
    assert scores[EARLY_RULE].recall.mean == 1.0


@pytest.mark.parametrize("content", ["", "not json\n", '{"completion": "x"}\n', "[1]\n"])
def test_a_file_without_labelled_passages_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "passages.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match="passages"):
        read_passages(path)
    with pytest.raises(UserError, match="does not exist"):
        read_passages(tmp_path / "missing.jsonl")
