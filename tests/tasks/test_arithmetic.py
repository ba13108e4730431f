"""The testbed's task: right solutions, prompts that hide or show, a strict verifier."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsd_cli.tasks.arithmetic import (
    FILLERS,
    MODULUS,
    VOCABULARY,
    ArithmeticTask,
    Wording,
    apply,
    suite_specs,
)

TASK = ArithmeticTask()
STEP = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")


def all_examples():
    return [example for suite in TASK.suites().values() for example in suite]


def test_solutions_are_derived_again_from_the_question():
    for example in all_examples():
        words = example.prompt.removesuffix(" ?").split()
        words = words[words.index(";") + 1 :] if ";" in words else words[1:]
        result = int(words[0])
        for symbol, value in zip(words[1::2], words[2::2], strict=True):
            result = eval(f"{result} {symbol} {value}") % MODULUS
        assert example.answer == str(result)
        for text in (example.solution, example.other_route):
            assert TASK.verify(text, example.answer).correct
            assert all(apply(int(a), op, int(b)) == int(c) for a, op, b, c in STEP.findall(text))


def test_the_other_route_takes_other_steps_to_the_same_results():
    for example in TASK.suites()["chain"]:
        ours, other = STEP.findall(example.solution), STEP.findall(example.other_route)
        assert [step[3] for step in ours] == [step[3] for step in other]
        assert example.solution != example.other_route


def test_an_item_is_a_pure_function_of_seed_and_index():
    assert TASK.train_example(3, 5) == TASK.train_example(3, 5)
    assert TASK.train_example(3, 5) != TASK.train_example(4, 5)
    assert TASK.train_example(3, 5) != TASK.train_example(3, 6)


def test_suites_differ_in_skill_and_hold_200_questions_each():
    suites = TASK.suites()
    assert set(suites) == set(suite_specs(4))
    assert {len(suite) for suite in suites.values()} == {200}
    assert all(example.prompt.count("*") + example.prompt.count("-") == 4 for example in suites["no_plus"])
    assert all(len(example.prompt.split()) == 13 for example in suites["long"])
    assert all("note" in example.prompt for example in suites["distractor"])
    assert all(min(example.meta["values"]) >= MODULUS // 2 for example in suites["large"])


def test_suites_follow_the_number_of_operations():
    suites = ArithmeticTask(operations=10).suites()
    count = {name: len(suite[0].meta["symbols"]) for name, suite in suites.items()}
    assert count == {"chain": 10, "long": 11, "no_plus": 10, "large": 10, "distractor": 10}


@pytest.mark.parametrize("wording", [Wording(0), Wording(1, 6), Wording(3, 12)])
def test_each_step_starts_with_the_set_number_of_words_out_of_the_set_choice(wording):
    task, seen = ArithmeticTask(3, wording), set()
    for index in range(300):
        for step in task.train_example(0, index).solution.split(" ; ")[:-1]:
            words, rest = step.split()[: wording.words], step.split()[wording.words :]
            assert len(rest) == 5
            seen |= set(words)
    assert seen == (set(FILLERS[: wording.choices]) if wording.words else set())


def test_the_longest_completion_fits_into_the_budget():
    for wording in (Wording(0), Wording(3, 12)):
        task = ArithmeticTask(4, wording)
        solution = task.suites()["long"][0].solution
        citing = " ; ".join(f"the reference says {step}" for step in solution.split(" ; "))
        assert len(citing.split()) + 1 <= task.max_completion_tokens


def test_a_question_has_several_solutions_that_differ_in_words_only():
    example = TASK.train_example(0, 0)
    for kind in ("solution", "other_route"):
        found = TASK.references(example, kind, 8)
        assert len(set(found)) > 4
        assert len({tuple(STEP.findall(text)) for text in found}) == 1
        assert found == TASK.references(example, kind, 8)
    assert TASK.references(example, "answer", 3) == [example.answer] * 3


def test_every_word_is_one_token_of_the_vocabulary():
    for example in all_examples():
        for text in (example.prompt, example.solution, example.other_route):
            assert set(text.split()) <= set(VOCABULARY)


def test_only_the_teachers_prompt_holds_the_reference():
    example = TASK.train_example(0, 0)
    for kind in ("answer", "solution", "other_route"):
        opened = TASK.teacher_prompt(example.prompt, example.reference(kind))
        assert opened.startswith("reference ")
        assert opened.endswith(example.prompt)
        assert example.reference(kind) in opened
    assert TASK.teacher_prompt("question 1 + 1 ?", "2") == "reference answer 2 question 1 + 1 ?"


@pytest.mark.parametrize(
    ("completion", "extracted"),
    [
        ("1 + 1 = 2 ; answer 2", "2"),
        ("answer 3 ; 1 + 1 = 2 ; answer 2", "2"),
        ("1 + 1 = 2", ""),
        ("answer", ""),
        ("", ""),
        ("answer answer", "answer"),
    ],
)
def test_the_last_answer_counts(completion, extracted):
    verdict = TASK.verify(completion, "2")
    assert verdict.extracted == extracted
    assert verdict.correct == (extracted == "2")


@given(st.text(alphabet=" 0123456789answer;", max_size=60))
@settings(max_examples=300, deadline=None)
def test_the_verifier_judges_any_text(text):
    assert TASK.verify(text, "").correct == (TASK.verify(text, "").extracted == "")


def test_wrong_steps_seldom_lead_to_right_answers():
    # Modulo a prime a wrong result is only forgiven by a later "* 0".
    rng, lucky, count = random.Random(0), 0, 2000
    for index in range(count):
        example = TASK.train_example(1, index)
        values, symbols = example.meta["values"], example.meta["symbols"]
        result = (apply(values[0], symbols[0], values[1]) + rng.randint(1, MODULUS - 1)) % MODULUS
        for symbol, value in zip(symbols[1:], values[2:], strict=True):
            result = apply(result, symbol, value)
        lucky += str(result) == example.answer
    assert lucky / count < 0.12
