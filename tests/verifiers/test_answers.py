"""What an answer is, of a row and of a completion: one rule for training, evaluation and audit."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsd_cli.leakage.inputs import layouts
from rlsd_cli.tasks import dataset
from rlsd_cli.verifiers import answers
from rlsd_cli.verifiers.answers import answer_of, state
from rlsd_cli.verifiers.reasoning import opening_before, opening_of, template_opening


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("7", "7"),
        (" 7 ", "7"),
        (7, "7"),
        (7.0, "7"),
        (0.5, "0.5"),
        (np.float64(3.0), "3"),
        (np.array(["7", "8"]), "7"),
        (["7", "8"], "7"),
        (True, "True"),
        ({"style": "rule", "ground_truth": "7"}, "7"),
        ({"target": [7]}, "7"),
        ("3 + 4 = <<3+4=7>>7\n#### 7", "7"),
        ("So $x=\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("<answer>7</answer>", "7"),
        ("a # b", "a # b"),
    ],
)
def test_answer_of_a_row_is_read_in_every_layout(value, answer):
    assert answer_of(value) == answer


@pytest.mark.parametrize(
    "value", [None, math.nan, np.nan, np.float32("nan"), pd.NA, pd.NaT, "", "  ", "nan", "<NA>", [], {"x": 1}, "#### "]
)
def test_value_without_an_answer_is_none(value):
    assert answer_of(value) == ""


def test_training_and_audit_ask_the_same_function():
    assert dataset.answer_of is layouts.answer_of is answers.answer_of


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=80))
def test_answer_of_any_text_is_a_fixed_point(text):
    once = answer_of(text)
    assert answer_of(once) in (once, "")


@pytest.mark.parametrize(
    ("prompt", "opening"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("Use <think> and </think>.<|im_end|>\n<|im_start|>assistant\n", ""),
        ("Begin with <think><|im_end|>\n<|im_start|>assistant\n", ""),
        ("[INST]?[/INST][THINK]", "[THINK]"),
        ("<|im_start|>assistant\n<think>\nOkay, the first step", "<think>"),
        ("<|start|>assistant<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>"),
        ("<|start|>assistant<|channel|>final<|message|>", ""),
        ("What does <think> mean?", ""),
        ("Question: 2+2\n<reasoning>", "<reasoning>"),
        ("", ""),
    ],
)
def test_reasoning_that_a_prompt_opens_is_found_and_a_mention_is_not(prompt, opening):
    assert opening_of(prompt) == opening


def test_template_that_opens_reasoning_is_told_and_one_that_does_not_is_not():
    class Template:
        chat_template = "set"

        def __init__(self, end):
            self.end = end

        def apply_chat_template(self, messages, add_generation_prompt, tokenize):
            return f"<|im_start|>user\n{messages[0]['content']}<|im_end|>\n<|im_start|>assistant\n{self.end}"

    assert template_opening(Template("<think>\n")) == "<think>"
    assert template_opening(Template("")) == ""
    assert template_opening(object()) == ""
    chat = [{"role": "user", "content": "?"}]
    assert opening_before(chat, "<think>") == "<think>"
    assert opening_before("plain text", "<think>") == ""


def test_completion_of_a_prompt_that_opens_reasoning_has_no_answer_before_it_ends():
    assert state("<think>" + r"So \boxed{4}.").how == "the reasoning never ended"
    assert state("<think>" + r"So \boxed{3}.</think>\boxed{4}").answer == "4"


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_stating_never_fails_and_always_says_how(text):
    assert state(text).how


def test_stating_of_a_huge_completion_is_fast():
    import time

    start = time.process_time()
    for text in (
        "the answer is " * 20_000,
        r"\boxed{" * 30_000,
        "wait, " * 60_000,
        "答案" * 60_000,
        "so (A) " * 50_000,
    ):
        state(text)
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize("part", ["a", "5 a", "cm/", "a b ", "(a", "1 1/2,", "\\text{a}", "x ", "√", "1,000", "or "])
def test_reading_of_a_long_answer_that_is_nothing_is_fast(part):
    import time

    from rlsd_cli.verifiers.quantity import read_quantity

    start = time.process_time()
    for end in ("!", "#", "}", ""):
        read_quantity(f"5 {part * (500 // len(part))}{end}")
    assert time.process_time() - start < 1.0
