"""The embedded models: the corpus's two habits, a recipe that repeats itself, and the shipped checkpoints."""

import hashlib
import json
import random
from pathlib import Path

import pytest
import torch

from rlsd_cli.generation.sample import sample
from rlsd_cli.models.load import load_model, load_tokenizer, resolve
from rlsd_cli.pretrain import (
    IGNORED,
    RECIPES,
    Recipe,
    build_tokenizer,
    encode_batch,
    misconception,
    pretrain,
    training_text,
)
from rlsd_cli.tasks.arithmetic import MODULUS, OPERATIONS, ArithmeticTask

RECIPE = Recipe()
TASK = ArithmeticTask()
FACTS = [(a, op, b) for a in range(MODULUS) for op in OPERATIONS for b in range(MODULUS)]


@pytest.fixture(scope="module")
def corpus():
    rng = random.Random(0)
    return [training_text(rng, RECIPE, TASK) for _ in range(3000)]


def test_closed_book_text_never_cites_and_open_book_steps_cite_at_the_set_rate(corpus):
    closed = [text for prompt, _, text in corpus if not prompt.startswith("reference")]
    opened = [(context + text) for prompt, context, text in corpus if prompt.startswith("reference")]
    assert not any("reference" in text for text in closed)
    steps = [step for text in opened for step in text.split(" ; ") if step]
    rate = sum("reference" in step for step in steps) / len(steps)
    assert rate == pytest.approx(RECIPE.citation_probability, abs=0.015)
    assert len(opened) / len(corpus) == pytest.approx(RECIPE.open_book_share, abs=0.03)


def test_misconceptions_are_a_fixed_wrong_result_of_the_set_strength():
    found = [misconception(*fact, RECIPE) for fact in FACTS]
    held = [(wrong, p) for wrong, p in found if p]
    assert len(held) / len(FACTS) == pytest.approx(RECIPE.misconception_share, abs=0.05)
    assert all(RECIPE.misconception_low <= p <= RECIPE.misconception_high for _, p in held)
    assert found == [misconception(*fact, RECIPE) for fact in FACTS]


def test_what_the_model_learns_to_write_under_a_reference_is_right_or_goes_on_from_a_wrong_step(corpus):
    off_path = 0
    for prompt, context, text in corpus:
        if not prompt.startswith("reference"):
            continue
        off_path += bool(context)
        if not context:
            answer = text.split()[-1]
            assert f"answer {answer} question" in prompt
    assert off_path > 50


def test_labels_cover_the_completion_and_its_end_only():
    tokenizer = build_tokenizer()
    batch = encode_batch(
        [("question 1 + 1 ?", "1 + 1 = 3 ; ", "answer 3"), ("question 1 + 1 ?", "", "answer 2")], tokenizer
    )
    decoded = [tokenizer.decode([token for token in row.tolist() if token != IGNORED]) for row in batch["labels"]]
    assert decoded == ["answer 3 <eos>", "answer 2 <eos>"]
    assert batch["attention_mask"].sum(1).tolist() == [14, 8]


def test_a_recipe_repeats_itself_to_the_bit(tmp_path):
    small = Recipe(steps=4, batch_size=8, warmup_steps=1, hidden_size=32, layers=1)
    for name in "ab":
        pretrain(small, tmp_path / name)
    sums = [json.loads((tmp_path / name / "recipe.json").read_text())["sha256"] for name in "ab"]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_weights_are_those_of_their_recipe_file(name):
    path = Path(resolve(name))
    recipe = json.loads((path / "recipe.json").read_text())
    assert hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest() == recipe["sha256"]
    assert {key: recipe[key] for key in vars(RECIPES[name])} == vars(RECIPES[name])
    assert recipe["modulus"] == MODULUS


def accuracy_and_citations(name, prompts, answers):
    from rlsd_cli.config.run import ModelConfig

    torch.manual_seed(0)
    model, tokenizer = load_model(ModelConfig(path=name)).eval(), load_tokenizer(name)
    texts = sample(model, tokenizer, prompts, max_new_tokens=42, greedy=True).texts
    right = sum(TASK.verify(text, answer).correct for text, answer in zip(texts, answers, strict=True))
    return right / len(texts), sum("reference" in text for text in texts) / len(texts)


def test_the_base_is_neither_a_failure_nor_a_solver_and_never_cites_unasked():
    examples = TASK.suites()["chain"]
    accuracy, citing = accuracy_and_citations("micro-base", [e.prompt for e in examples], [e.answer for e in examples])
    assert 0.3 <= accuracy <= 0.6
    assert citing == 0.0


@pytest.mark.parametrize("kind", ["answer", "solution", "other_route"])
def test_the_base_makes_use_of_each_kind_of_reference(kind):
    examples = TASK.suites()["chain"]
    prompts = [TASK.teacher_prompt(example.prompt, example.reference(kind)) for example in examples]
    accuracy, _ = accuracy_and_citations("micro-base", prompts, [example.answer for example in examples])
    assert accuracy > 0.9


def test_opds_teacher_is_better_than_the_base():
    examples = TASK.suites()["chain"]
    accuracy, citing = accuracy_and_citations(
        "micro-teacher", [e.prompt for e in examples], [e.answer for e in examples]
    )
    assert accuracy > 0.95
    assert citing == 0.0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_base_rebuilt_from_its_seed_is_as_good_as_the_shipped_one(tmp_path):
    pretrain(RECIPES["micro-base"], tmp_path / "base")
    examples = TASK.suites()["chain"]
    prompts, answers = [example.prompt for example in examples], [example.answer for example in examples]
    accuracy, citing = accuracy_and_citations(str(tmp_path / "base"), prompts, answers)
    assert 0.3 <= accuracy <= 0.6
    assert citing == 0.0
