"""The golden file of verdicts, and what the verifiers promise beyond it."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsd_cli.verifiers.answers import last_box, stated_answer
from rlsd_cli.verifiers.choice import verify_choice
from rlsd_cli.verifiers.load import load_verifier
from rlsd_cli.verifiers.numeric import parse_number, verify_numeric
from rlsd_cli.verifiers.reasoning import cut_reasoning
from rlsd_cli.verifiers.reward import composite_reward, follows_format
from rlsd_cli.verifiers.verdict import Verdict

GOLDEN = yaml.safe_load(Path(__file__).with_name("golden_verdicts.yaml").read_text(encoding="utf-8"))
CAPITALS = ["hong kong", "osaka", "shanghai", "tokyo"]


def test_golden_file_holds_at_least_sixty_verdicts_of_both_kinds():
    assert len(GOLDEN) >= 60
    assert {correct for *_, correct, _, _ in GOLDEN} == {True, False}


@pytest.mark.parametrize(("kind", "text", "gold", "correct", "extracted", "why"), GOLDEN)
def test_verdict_is_the_golden_one(kind, text, gold, correct, extracted, why):
    assert load_verifier(kind)(text, gold) == Verdict(correct, extracted), why


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is tokyo.", "D"),
        ("<answer>Tokyo</answer>", "D"),
        ("<answer>D</answer>", "D"),
        ("The answer is (D) tokyo", "D"),
        ("osaka", "B"),
        ("<answer>kyoto</answer>", ""),
        ("<answer>E</answer>", ""),
    ],
)
def test_choice_understands_the_text_of_an_option(text, letter):
    assert verify_choice(text, "tokyo", CAPITALS) == Verdict(letter == "D", letter)


def test_bare_letter_is_a_letter_even_where_options_are_called_by_other_letters():
    assert verify_choice("<answer>A</answer>", "A", ["B", "A"]).correct


def test_option_text_that_two_options_share_chooses_neither():
    assert verify_choice("<answer>3</answer>", "A", ["3", "3", "4"]) == Verdict(False, "")


def test_tolerance_of_numeric_is_the_configured_one():
    assert not load_verifier("numeric", 1e-3)(r"\boxed{1.01}", "1").correct
    assert load_verifier("numeric", 2e-2)(r"\boxed{1.01}", "1").correct


@pytest.mark.parametrize(
    ("text", "number"), [("x = 3", 3.0), ("−2", -2.0), ("12 apples", 12.0), ("", None), ("a", None)]
)
def test_number_is_read_only_where_it_is_the_whole_answer(text, number):
    assert parse_number(text) == number


@settings(max_examples=60, deadline=None)
@given(st.floats(min_value=-1e9, max_value=1e9).filter(lambda x: abs(x) > 1e-6))
def test_numeric_accepts_every_number_as_itself_and_refuses_twice_it(value):
    assert verify_numeric(rf"\boxed{{{value!r}}}", repr(value)).correct
    assert not verify_numeric(rf"\boxed{{{2 * value!r}}}", repr(value)).correct


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_extraction_never_fails_and_never_looks_into_reasoning(text):
    assert stated_answer(f"<think>{text}\\boxed{{7}}") in ("", stated_answer(f"<think>{text}"))
    assert "<think>" not in cut_reasoning(text + "<think>")


def test_answer_longer_than_the_cap_is_no_answer():
    assert stated_answer("<answer>" + "9" * 512 + "</answer>") == "9" * 512
    assert stated_answer("<answer>" + "9" * 513 + "</answer>") == ""


def test_extraction_of_a_huge_completion_is_fast():
    import time

    text = r"\boxed{" * 20_000 + "answer is " * 50_000
    start = time.perf_counter()
    stated_answer(text)
    assert time.perf_counter() - start < 2.0


def test_last_closed_box_counts_where_a_later_one_was_cut_off():
    assert last_box(r"\boxed{1} \boxed{2") == "1"


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<thought>t</thought><answer>4</answer>", 1.0),
        ("  <thought>t</thought>\n so\n<answer> 4 </answer>\n", 1.0),
        (r"\boxed{4}", 0.9),
        ("<thought>t</thought><answer>5</answer>", 0.1),
        ("<answer>4</answer><thought>t</thought>", 0.0),
        ("", 0.0),
    ],
)
def test_composite_reward_is_nine_tenths_accuracy_and_one_tenth_format(text, reward):
    assert composite_reward(text, load_verifier("math")(text, "4")) == pytest.approx(reward)


def test_text_outside_the_tags_breaks_the_format():
    assert not follows_format("Sure! <thought>t</thought><answer>4</answer>")


def test_golden_verdicts_are_unique():
    keys = [json.dumps(row[:3]) for row in GOLDEN]
    assert len(set(keys)) == len(keys)
