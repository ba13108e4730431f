"""Answers asserted before anything derives them."""

import pytest

from rlsd_cli.leakage.detect import EARLY_RULE, find_mentions, leaks
from rlsd_cli.leakage.early import answer_first, early_answer, hidden, plain
from rlsd_cli.tasks.arithmetic import ArithmeticTask


def marked(completion: str, answer: str, prompt: str = "") -> str | None:
    span = early_answer(completion, answer, prompt)
    return completion[slice(*span)] if span else None


def test_the_testbeds_answer_before_its_steps_is_marked():
    assert marked("answer 28 ; 7 + 9 = 16 ; answer 28", "28", "question 7 + 9 * 3 ?") == "answer 28"
    assert marked("7 + 9 = 16 ; answer 28", "28") is None


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"$\boxed{6}$. Indeed $2x = 12$.", "6"),
        ("The answer is 6, because 2 * 3 = 6.", "6"),
        (r"**Answer:** $\frac{3}{4}$. We have $1 - \frac14 = \frac34$.", r"\frac{3}{4}"),
        (r"The answer is $\dfrac{3}{4}$, as $3/4 = 0.75$.", r"$\frac{3}{4}$"),
        ("The answer is 1,024. Note that $2^{10} = 1024$.", "1024"),
        ("The answer is (B). Check: 2 + 2 = 4.", "B"),
        ("The answer is Lima, since it has the larger number of people in it by far, at least by what I know.", "Lima"),
    ],
)
def test_maths_and_prose_assertions_are_marked(completion, answer):
    assert marked(completion, answer)


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("2 * 3 = 6. The answer is 6.", "6"),
        ("The answer is 6.", "6"),
        (r"\boxed{6}", "6"),
        ("The answer is 60, because 2 * 30 = 60.", "6"),
        ("The answer is 6/7 of it: 6 / 7 = 0.86.", "6"),
        ("The answer is 6.5, as 13 / 2 = 6.5.", "6"),
        ("The answer is 6 times 2, so 6 * 2 = 12.", "6"),
        ("The answer is 4. Wait, 2 * 3 = 6, so the answer is 6.", "6"),
        ("Suppose the answer is 6. Then 2 * 3 = 6.", "6"),
        ("The answer is of the form a/b. 2 * 3 = 6.", "6"),
        ("We go through the cases one after another, which is a bit long. The answer is 6. 2 * 3 = 6.", "6"),
    ],
)
def test_derived_bare_other_and_supposed_answers_are_not_marked(completion, answer):
    assert marked(completion, answer) is None


def test_an_answer_that_the_prompt_shows_is_not_marked():
    completion = "The answer is 6, because 2 * 3 = 6."
    assert marked(completion, "6", "Show that 2 * 3 is 6.") is None
    assert marked(completion, "6", "Compute 2 * 3, with 16 as an upper bound.")


def test_hidden_answers_are_those_that_can_be_looked_for():
    assert hidden("6", "Compute 2 * 3.")
    assert not hidden("6", "Is it 6?")
    assert not hidden("", "Compute 2 * 3.")
    assert not hidden("$ $", "Compute 2 * 3.")
    assert not hidden("a whole solution " * 20, "Compute 2 * 3.")


def test_an_early_answer_is_its_own_rule_and_no_mention():
    text = "The answer is 6, because 2 * 3 = 6."
    assert [hit.rule for hit in find_mentions(text, answer="6")] == [EARLY_RULE]
    assert find_mentions(text) == []
    assert not leaks(text)


def test_plain_answers_agree_however_they_are_written():
    assert plain(r"\dfrac{3}{4}") == plain(r"$\frac{3}{4}$") == plain(r"\tfrac34".replace("34", "{3}{4}"))
    assert plain(r"\text{No}") == plain("No.") == "no"


def test_a_first_step_that_happens_to_give_the_answer_is_no_early_answer():
    task = ArithmeticTask()
    for index in range(2000):
        example = task.train_example(5, index)
        assert answer_first(example.solution, example.answer, str(example.prompt)) is None
    assert answer_first("So x = 8, obviously. Check: 2 * 8 = 16.", "8", "Solve 2x = 16.")
    assert answer_first("2 * 4 = 8, so the result is 8. Check: 8 - 4 = 4.", "8", "Double 4.") is None
