"""The labelled passages: what they hold, what the rules make of them, and the scoring itself."""

from collections import Counter
from pathlib import Path

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.early import EARLY_RULE
from rlsd_cli.leakage.rules import load_rules
from rlsd_cli.leakage.score import read_passages, score_rules, task_of

LABELLED = Path(__file__).parent / "labelled"
APART = ("sentences_test.jsonl", "passages_test.jsonl")
LANGUAGES = ("en", "zh", "es", "de", "fr")


def passages(pattern: str) -> list[dict]:
    return [passage for path in sorted(LABELLED.glob(pattern)) for passage in read_passages(path)]


def test_the_set_is_large_balanced_and_in_three_styles():
    mentions = [p for p in passages("*s_*.jsonl") if p["task"] == "mention"]
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
    for pattern in ("*_dev.jsonl", "*_test.jsonl"):
        families = {p["rule"] for p in passages(pattern) if p["leak"]}
        wanted = {"reference_solution", "source_says", "given_answer", "answer_key", "told_answer", "hint"}
        assert families == wanted | {EARLY_RULE}
        assert wanted <= set(load_rules().families)


def test_passages_that_were_held_apart_from_the_first_rules_are_still_found():
    mentions = score_rules([p for name in APART for p in read_passages(LABELLED / name)])[0]
    assert mentions.precision.mean >= 0.97
    assert mentions.recall.mean >= 0.95


def named(name: str, language: str) -> list[dict]:
    """Passages whose leak names an artefact (or a given answer), and the hard negatives, of one language."""
    found = [p for p in read_passages(LABELLED / name) if p["language"] == language]
    return [p for p in found if task_of(p) == "mention"]


def test_the_independent_set_is_large_balanced_and_in_five_languages():
    every = read_passages(LABELLED / "independent.jsonl")
    assert len(every) >= 240
    counts = Counter(p["language"] for p in every)
    assert counts["en"] >= 160
    assert min(counts[language] for language in LANGUAGES) >= 15
    assert 0.45 < sum(p["leak"] for p in every) / len(every) < 0.55
    assert all(p["prompt"] and p["id"] and p["kind"] and p["style"] for p in every)


SETS = ("independent", "second", "third", "fourth", "fifth", "sixth", "seventh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_artefacts_that_are_named_are_found_in_each_language(language):
    score = score_rules([p for name in SETS for p in named(f"{name}.jsonl", language)])[0]
    assert score.leaks >= 50
    assert score.recall.mean >= (0.85 if language == "en" else 0.7)
    assert score.precision.mean >= 0.9


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
