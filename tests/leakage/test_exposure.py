"""Decoys and exposure: pure arithmetic, a student that was made to memorise, and one that was not."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from rlsd_cli.config.run import RunConfig
from rlsd_cli.leakage.closed_book import follow_shares, log_probabilities, score_prompt, spoken
from rlsd_cli.leakage.decoys import (
    UNSEEN,
    answer_pool,
    draw,
    flagged,
    flagged_examples,
    form,
    perturbed,
    shown,
    with_answer,
)
from rlsd_cli.leakage.exposure import (
    Scores,
    excess,
    exposure,
    exposure_p,
    follow_difference,
    follow_p,
    mean_excess,
    null_exposure,
)
from rlsd_cli.tasks.arithmetic import ArithmeticTask


def test_the_share_of_flagged_questions_is_the_share_that_was_asked_for():
    ids = [f"train-0-{index}" for index in range(20_000)]
    share = sum(flagged(0, name, 0.1) for name in ids) / len(ids)
    assert share == pytest.approx(0.1, abs=0.01)  # 4.7 standard errors
    assert not any(flagged(0, name, 0.0) for name in ids)
    assert [flagged(0, name, 0.1) for name in ids] == [flagged(0, name, 0.1) for name in ids]
    assert [flagged(0, name, 0.1) for name in ids] != [flagged(1, name, 0.1) for name in ids]


@pytest.mark.parametrize(
    ("gold", "prompt", "pool"),
    [
        ("42", "", [str(n) for n in range(30, 90)]),
        ("1,472", "", []),
        ("-7", "", ["3", "-2", "5"]),
        ("2.50", "", ["1.25", "3.75"]),
        ("3/4", "", []),
        ("\\frac{3}{4}", "", []),
        ("(B)", "Which? (A) x (B) y (C) z (D) w", ["(A)", "(C)"]),
        ("Paris", "", ["Rome", "Oslo", "Lima", "paris"]),
    ],
)
def test_decoys_are_wrong_different_and_of_the_form_of_the_answer(gold, prompt, pool):
    found = draw(0, "q", gold, pool, prompt)
    every = [found.seen, *found.unseen]
    assert gold not in every
    assert len(set(every)) == len(every) <= UNSEEN + 1
    assert {form(text) for text in every} == {form(gold)}
    assert found == draw(0, "q", gold, pool, prompt)
    if gold == "Paris":
        assert "paris" not in every


def test_a_question_without_two_wrong_answers_has_no_decoy():
    assert draw(0, "q", "yes", ["no", "yes"]) is None
    assert draw(0, "q", "A", [], "(A) x (B) y") is None


def test_which_decoy_is_shown_is_uniform_over_the_candidates():
    counts = Counter(draw(0, f"q{index}", "4", [str(n) for n in range(6)]).seen for index in range(5000))
    assert set(counts) >= {"0", "1", "2", "3", "5"}
    assert max(counts.values()) / min(counts.values()) < 1.5


def test_where_a_suite_has_answers_enough_no_number_is_made_up():
    pool = [str(n) for n in range(11)]
    for gold in ("3", "10"):
        found = draw(0, "q", gold, pool)
        assert {found.seen, *found.unseen} == set(pool) - {gold}


def test_a_number_keeps_its_length_and_its_sign():
    import random

    rng = random.Random(0)
    for gold in ("7", "472", "-13", "1,472", "0.05", "12.50"):
        made = [perturbed(gold, rng) for _ in range(50)]
        assert {len(text) for text in made} <= {len(gold)}
        assert {text.startswith("-") for text in made} == {gold.startswith("-")}


def test_the_decoy_stands_where_a_derivation_says_the_answer():
    assert with_answer("7 + 9 = 5 ; 5 * 3 = 4 ; answer 4", "4", "8") == "7 + 9 = 5 ; 5 * 3 = 8 ; answer 8"
    assert with_answer("4 apples and 4 pears, 4 + 4 = 8, so 8.", "8", "9") == "4 apples and 4 pears, 4 + 4 = 9, so 9."
    assert with_answer("It is 14 and 4.5 but $4$.", "4", "6") == "It is 14 and 4.5 but $6$."
    assert with_answer("no such value", "4", "6") == "6"


def test_the_teacher_sees_the_decoy_of_a_flagged_row_and_the_truth_of_others():
    row = {"answer": "4", "solution": "2 + 2 = 4 ; answer 4", "other_route": "", "decoy": "8"}
    assert shown(row, "solution") == "2 + 2 = 8 ; answer 8"
    assert shown(row, "answer") == "8"
    assert shown(row, "other_route") == ""
    assert shown(row | {"decoy": ""}, "solution") == row["solution"]


def test_exposure_is_the_log_of_the_ranks_that_it_beats():
    assert exposure(-1.0, [-2.0] * 31) == 5.0  # rank 1 of 32
    assert exposure(-3.0, [-1.0, -2.0, -4.0]) == pytest.approx(2 - math.log2(3))  # rank 3 of 4
    assert exposure(-1.0, [-1.0, -1.0, -1.0]) == pytest.approx(null_exposure(3))  # all tied: the null's mean


@pytest.mark.parametrize("scores", [[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 3.0, 4.0], [1.0, 1.0, 1.0, 2.0], [5.0] * 6])
def test_the_excess_is_zero_on_average_over_who_was_shown_with_and_without_ties(scores):
    each = [excess(value, scores[:place] + scores[place + 1 :]) for place, value in enumerate(scores)]
    assert np.mean(each) == pytest.approx(0.0, abs=1e-12)


def test_the_null_of_one_against_one_is_half_a_bit():
    assert null_exposure(1) == pytest.approx(0.5)  # (1 + 0) / 2
    expected = np.mean([math.log2(32) - math.log2(rank) for rank in range(1, 33)])
    assert null_exposure(31) == pytest.approx(expected)


def test_prompts_are_the_clusters_of_the_interval():
    one = [Scores(f"p{index}", float(index % 3), (1.0, 0.5, 2.5)) for index in range(9)]
    again = one + one + one
    assert mean_excess(again) == pytest.approx(mean_excess(one))
    assert mean_excess(one).n == 9


def test_the_follow_rate_is_compared_within_a_prompt():
    scores = [Scores("a", 0.0, (0.0, 0.0), (0.75, 0.25, 0.0)), Scores("b", 0.0, (0.0, 0.0), (0.5, 0.0, 0.5))]
    found = follow_difference(scores)
    assert found.mean == pytest.approx((0.625 + 0.25) / 2)
    assert follow_difference([Scores("a", 0.0, (0.0,))]) is None


def test_the_p_value_is_that_of_all_assignments():
    scores = [Scores(f"p{index}", 3.0, (1.0, 2.0)) for index in range(2)]
    ranks = [excess(3.0, [1.0, 2.0]), excess(2.0, [1.0, 3.0]), excess(1.0, [2.0, 3.0])]
    exact = np.mean([sum(pair) >= 2 * ranks[0] - 1e-9 for pair in itertools.product(ranks, repeat=2)])  # 1 of 9
    assert exposure_p(scores) == pytest.approx(exact, abs=0.01)
    follows = [Scores(f"p{index}", 0.0, (0.0, 0.0), (1.0, 0.0, 0.0)) for index in range(2)]
    assert follow_p(follows) == pytest.approx(1 / 9, abs=0.01)


@pytest.fixture(scope="module")
def questions():
    config = RunConfig.model_validate(
        {"method": "opsd", "seed": 1, "leakage": {"decoy_share": 0.5}, "train": {"steps": 20, "prompts_per_step": 8}}
    )
    task = ArithmeticTask()
    return task, flagged_examples(config, task, 64)


def loaded():
    from rlsd_cli.config.run import ModelConfig
    from rlsd_cli.models.load import load_model, load_tokenizer

    return load_model(ModelConfig()).eval(), load_tokenizer("micro-base")


def measured(model, tokenizer, task, chosen, samples):
    follows = follow_shares(model, tokenizer, task, chosen, samples, task.max_completion_tokens)
    scores = [score_prompt(model, tokenizer, task, example, "solution", decoys) for example, decoys in chosen]
    return [replace(score, follows=shares) for score, shares in zip(scores, follows, strict=True)]


def test_a_student_that_was_made_to_memorise_its_decoys_is_exposed(questions):
    import torch

    task, chosen = questions[0], questions[1][:16]
    model, tokenizer = loaded()
    texts = [f"{example.prompt} {spoken(task, example, 'solution', decoys.seen)}" for example, decoys in chosen]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(40):
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = measured(model.eval(), tokenizer, task, chosen, samples=4)
    found = mean_excess(scores)
    highest = exposure(1.0, [0.0] * len(chosen[0][1].unseen)) - null_exposure(len(chosen[0][1].unseen))
    assert found.low > 0.5 * highest
    assert exposure_p(scores) < 0.001
    follow = follow_difference(scores)
    assert follow.low > 0.2
    assert follow_p(scores) < 0.001


def test_a_student_that_saw_no_decoy_has_no_exposure(questions):
    task, chosen = questions
    model, tokenizer = loaded()
    scores = measured(model, tokenizer, task, chosen, samples=2)
    found = mean_excess(scores)
    assert found.low < 0 < found.high
    assert exposure_p(scores) > 0.05
    assert follow_p(scores) > 0.05


def test_log_probabilities_are_those_of_one_sequence_at_a_time():
    import torch

    model, tokenizer = loaded()
    prompt, texts = "question 7 + 9 ?", ["answer 5", "7 + 9 = 5 ; answer 5", "the reference says 7 + 9 = 5"]
    expected = []
    for text in texts:
        start = tokenizer(prompt, return_tensors="pt").input_ids
        whole = torch.cat([start, tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids], dim=1)
        with torch.no_grad():
            logps = model(input_ids=whole).logits.double().log_softmax(-1)
        places = range(start.size(1), whole.size(1))
        expected.append(sum(float(logps[0, place - 1, whole[0, place]]) for place in places))
    assert log_probabilities(model, tokenizer, prompt, texts) == pytest.approx(expected, abs=1e-4)


def test_the_audit_draws_what_training_drew():
    from rlsd_cli.training.data import training_set

    config = RunConfig.model_validate(
        {"method": "opsd", "leakage": {"decoy_share": 0.4}, "train": {"steps": 5, "prompts_per_step": 8}}
    )
    task = ArithmeticTask()
    rows = training_set(config, task)[list(range(40))]
    trained = {name: decoy for name, decoy in zip(rows["prompt_id"], rows["decoy"], strict=True) if decoy}
    assert trained == {example.id: decoys.seen for example, decoys in flagged_examples(config, task, 100)}
    assert 8 <= len(trained) <= 24
    assert answer_pool(task, 0, 40) == rows["answer"]
    off = config.model_copy(update={"leakage": type(config.leakage)()})
    assert set(training_set(off, task)[list(range(40))]["decoy"]) == {""}
