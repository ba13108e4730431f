"""Which texts are mentions, where their spans are, and what never counts."""

import random
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlsd_cli.leakage.detect import examine, find_mentions, leaks
from rlsd_cli.leakage.initials import initials
from rlsd_cli.leakage.normalise import cleaned, normalise
from rlsd_cli.leakage.places import Places, Stems
from rlsd_cli.leakage.rules import REACH, Near, compile_pattern, load_rules
from rlsd_cli.leakage.score import read_passages

LABELLED = Path(__file__).parent / "labelled"
CITATION = "7 + 9 = 16 ; the reference says 16 * 3 = 16 ; answer 16"


@pytest.mark.parametrize(
    "text",
    [
        "The reference solution says 7.",
        "the REFERENCE SOLUTIONS say 7.",
        "The **reference solution** says 7.",
        "The *reference* *solution* says 7.",
        r"The \textbf{reference solution} says 7.",
        r"The \emph{reference} solution says 7.",
        "The “reference solution” says 7.",
        "The 'reference solution' says 7.",
        "The reference\nsolution says 7.",
        "The `reference` solution says 7.",
        "In the reference's solution, 7 is prime.",
        "The solution in the reference is 7.",
        "The answer-key says 7.",
        "The answer in the key is 7.",
    ],
)
def test_inflection_order_markup_and_line_breaks_do_not_hide_a_mention(text):
    assert leaks(text)


@pytest.mark.parametrize(
    "text",
    [
        "For reference, pi is 3.14.",
        "In this frame of reference the point rests.",
        "The reference angle is 30 degrees.",
        "The preferences say 7.",
        "A cross-reference says where to look.",
        "The API reference says that x is an integer.",
        "The given answer choices are 1 and 2.",
        "The answer given by the formula is 7.",
        "The key step is to factor.",
        "The answer is 7.",
        "The reference\n\nsolution of salt water",
    ],
)
def test_ordinary_uses_and_word_boundaries_are_respected(text):
    assert not leaks(text)


@pytest.mark.parametrize(
    "text",
    [
        "There is no reference solution.",
        "I was not given a reference answer.",
        "Without a reference solution I can't tell.",
        "The reference solution is not available.",
        "We don't know the expected answer.",
        "The phrase 'reference solution' doesn't appear.",
    ],
)
def test_negations_are_matches_that_do_not_count(text):
    findings = examine(text)
    assert findings
    assert findings[0].dismissed == "negation"


def test_a_negated_agreement_is_still_a_mention():
    assert leaks("My answer does not match the reference solution.")
    assert leaks("This is not what the answer key says.")


def test_a_mention_in_the_next_sentence_is_not_negated():
    assert leaks("I have no pen. The reference solution says 7.")


@pytest.mark.parametrize("prompt", ["Reference: 3 + 4 = 8. Check it.", "Grade it against the reference solution."])
def test_a_mention_that_the_prompt_explains_does_not_count(prompt):
    text = "The reference solution is wrong."
    assert [finding.dismissed for finding in examine(text, prompt)] == ["prompt"]
    assert leaks(text, prompt="What is 3 + 4?")


def test_a_prompt_that_asks_for_an_answer_explains_nothing():
    prompt = r"Solve the problem. Provide the final answer in \boxed{}. For reference, use SI units."
    assert leaks("This matches the given answer.", prompt)
    assert leaks("According to the reference, it is 7.", prompt)


def test_the_testbed_citation_counts_under_its_closed_prompt_only():
    assert leaks(CITATION, "question 7 + 9 * 3 ?")
    assert not leaks(CITATION, "reference answer 16 question 7 + 9 * 3 ?")
    assert not leaks("7 + 9 = 16 ; 16 * 3 = 16 ; answer 16", "question 7 + 9 * 3 ?")


def test_a_hit_carries_its_span_and_its_text():
    text = "So x = 3.\n\nThis matches the **reference solution**, as hoped. The hint says so too."
    hits = find_mentions(text)
    assert [hit.rule for hit in hits] == ["reference_solution", "hint"]
    for hit in hits:
        assert text[hit.start : hit.end] == hit.text
    assert hits[0].text == "reference solution"


def test_spans_do_not_overlap_and_come_in_order():
    hits = find_mentions("According to the given reference solution, the reference says so. " * 20)
    assert len(hits) >= 40
    for first, second in pairwise(hits):
        assert first.end <= second.start


def test_empty_text_has_no_mention():
    assert find_mentions("") == []
    assert find_mentions("   \n", answer="3") == []


def test_a_capital_that_grows_when_lowered_keeps_the_spans():
    text = "İİİ The reference solution says 7."  # each İ becomes two characters in lower case
    assert len(text.lower()) > len(text)
    assert [hit.text for hit in find_mentions(text)] == ["reference solution"]


@given(st.text(alphabet="abRefS \n*<b>/-_\u00ad\u200b\u202eеｒİ", max_size=120))
def test_every_clean_character_has_its_place_in_the_raw_text(text):
    clean = cleaned(text)
    places = [clean.raw(index) for index in range(len(clean.text))]
    assert places == sorted(places)
    assert all(0 <= place <= len(text) for place in places)
    for index, char in enumerate(clean.text):
        if char.isascii() and char.isalpha() and text[places[index]].isascii():
            assert text[places[index]].lower() == char


@given(st.text(alphabet="the reference solution says hint given answer.\n*'\\-", max_size=400))
def test_any_text_gives_sound_spans(text):
    for finding in examine(text):
        assert text[finding.hit.start : finding.hit.end] == finding.hit.text
        assert finding.hit.text


def test_words_are_tried_once_each_and_only_near_an_anchor():
    text = normalise("x " * 200 + "the reference says, the reference says " + "y " * 200)
    places = Places(text, Stems(load_rules())).starts(Near(("reference",), re.compile("reference")))
    assert len(places) == len(set(places))
    first = text.index("reference")
    assert min(places) >= first + len("reference") - REACH
    assert max(places) <= text.rindex("reference")


def test_patterns_have_no_repeated_groups():
    """`(a+)+` and its kin are what makes a regular expression hang; every rule must do without."""
    ruleset = load_rules()
    patterns = []
    for pack in ruleset.packs:
        patterns += [pack.negated_before, pack.negated_after, pack.hedged_before, pack.hedged_after, pack.hedge_ends]
        patterns.append(pack.generic)
        for rule in pack.rules:
            for near in rule.near:
                patterns += [near.pattern, near.before, near.after, near.ordinary, near.introduced]
            patterns += [rule.ordinary, rule.introduced]
            patterns += [p for excuse in rule.excuses for p in (excuse.pattern, excuse.near)]
    patterns = [pattern for pattern in patterns if pattern]
    unbounded_group = re.compile(r"\)(?:[*+]|\{\d+,\})")
    unbounded_item = re.compile(r"(?<!\\)(?:\]|\\\w|\.)(?:[*+](?!\+)|\{\d+,\})")
    assert len(patterns) > 200
    for pattern in patterns:
        assert not unbounded_group.search(pattern.pattern)
        assert not unbounded_item.search(pattern.pattern)


def test_a_pattern_expands_words_and_spaces():
    pattern = compile_pattern("<the> answer ?:[^\\w ]", {"the": "the|this"})
    assert pattern.match("this   answer :!")
    assert pattern.match("the answer:!")
    assert not pattern.match("theanswer:!")


@pytest.mark.parametrize(
    "text",
    [
        "the reference " * 70_000,
        "no " * 330_000 + "reference solution",
        "the given the provided answer solution is told " * 20_000,
        "a" * 1_000_000,
        " " * 500_000 + "the" + " " * 500_000 + "reference says",
        "\\textbf{" * 120_000 + "reference solution",
        "'" * 1_000_000,
        "-a" * 500_000,
        "\n \n" * 330_000,
        "answer is answer is " * 50_000,
        "1 = 1 " * 160_000,
        "(((((" * 200_000 + "the answer key",
        "".join(random.Random(0).choices("thereferncs olutigvkyhw\n*\\{}'-.", k=1_000_000)),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_megabyte_of_hostile_text_takes_seconds_at_most(text):
    assert len(text) > 900_000
    start = time.process_time()
    find_mentions(text, "question", "7")
    assert time.process_time() - start < 20


def test_many_hits_under_a_long_prompt_take_seconds_at_most():
    start = time.process_time()
    hits = find_mentions("the reference solution says 7. " * 30_000, "what is it? " * 80_000, "7")
    assert time.process_time() - start < 20
    assert len(hits) == 30_000


def test_time_grows_no_faster_than_the_text():
    def seconds(copies: int) -> float:
        text = "the reference solution says the given answer is no " * copies
        start = time.process_time()
        find_mentions(text, "", "7")
        return time.process_time() - start

    seconds(100)
    small, large = min(seconds(1000) for _ in range(3)), seconds(10_000)
    assert large < 40 * small  # 10 for a linear detector; 100 for a quadratic one


@pytest.mark.parametrize(
    ("pattern", "chars"),
    [
        (r"(?:the|an?) key", "ta"),
        (r"(?<![\w-])(?:the )?reference", "tr"),
        (r"x?y|[bc]d", "xybc"),
        (r"\w+ key", ""),
        (r"(?:x)?", ""),
    ],
)
def test_only_words_with_the_first_letter_of_a_pattern_are_tried(pattern, chars):
    assert initials(re.compile(pattern)) == frozenset(chars)


def test_every_pattern_matches_only_where_its_initials_say():
    texts = [p["completion"] for path in sorted(LABELLED.glob("*.jsonl")) for p in read_passages(path)]
    nears = [near for pack in load_rules().packs for rule in pack.rules for near in rule.near if near.initials]
    assert len(nears) > 50
    for near in nears:
        for text in map(normalise, texts[::7]):
            for match in near.pattern.finditer(text):
                assert text[match.start()] in near.initials
