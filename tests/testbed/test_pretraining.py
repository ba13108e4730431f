"""Pre-training: a recipe that repeats itself, texts that grow, and the shipped checkpoints."""

import hashlib
import json

import pytest
import torch

from rlsd_cli.config.recipe import RECIPES, Recipe
from rlsd_cli.config.run import ModelConfig
from rlsd_cli.generation.sample import sample
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.tasks.arithmetic import MODULUS, ArithmeticTask
from rlsd_cli.testbed.cache import ASSETS
from rlsd_cli.testbed.corpus import CORPUS_VERSION, Text
from rlsd_cli.testbed.network import build_model, build_tokenizer
from rlsd_cli.testbed.pretraining import encode_batch, mix_at, pretrain, token_weights, weighted_loss


def test_the_loss_covers_the_completion_and_its_end_only():
    tokenizer = build_tokenizer()
    texts = [Text("question 1 + 1 * 2 ?", "answer 3", "so 1 + 1 = 3 ; "), Text("question 1 + 1 ?", "answer 2")]
    batch = encode_batch(texts, tokenizer, Recipe())
    scored = [tokenizer.decode(row[weights > 0]) for row, weights in zip(*batch, strict=True)]
    assert scored == ["answer 3 <eos>", "answer 2 <eos>"]
    assert (batch.ids != tokenizer.pad_token_id).sum(1).tolist() == [17, 8]


def test_a_tokens_weight_is_that_of_the_place_and_not_of_the_token():
    # so 1 + 1 = 2 ; answer 2 <eos>, and with both steps cited: a citation begins where a word could stand.
    plain = Text("question 1 + 1 ?", "so 1 + 1 = 2 ; answer 2", told="solution")
    cited = Text("question 1 + 1 ?", "the reference says so 1 + 1 = 3 ; the reference says answer 2", told="solution")
    assert token_weights(plain, Recipe()) == [1, 1, 0.5, 0.5, 0.5, 4, 0.5, 1, 4, 0.5]
    assert token_weights(cited, Recipe()) == [1, 0.5, 0.5, 1, 1, 0.5, 0.5, 0.5, 4, 0.5, 1, 0.5, 0.5, 1, 4, 0.5]
    assert token_weights(plain._replace(told="nothing"), Recipe())[:2] == [0.1, 0.1]
    assert token_weights(plain._replace(told="left solution"), Recipe())[:2] == [1.5, 1.5]


def test_the_dials_weigh_form_and_words_that_nothing_tells():
    recipe = Recipe(form_weight=2, idle_weight=3)
    assert token_weights(Text("question 1 + 1 ?", "so 1 + 1 = 2 ; answer 2"), recipe)[:7] == [3, 3, 2, 2, 2, 4, 2]


def test_padding_has_no_say_in_the_loss():
    tokenizer, model = build_tokenizer(), build_model(Recipe(width=16, layers=1, heads=2))
    short, long = Text("question 1 + 1 ?", "answer 2"), Text("question 1 + 1 * 2 ?", "so 1 + 1 = 2 ; answer 4")
    together = weighted_loss(model, encode_batch([short, long], tokenizer, Recipe()))
    alone = [weighted_loss(model, encode_batch([text], tokenizer, Recipe())) for text in (short, long)]
    assert together.item() == pytest.approx(sum(alone).item(), rel=1e-5)


def test_a_recipe_repeats_itself_to_the_bit(tmp_path):
    small = Recipe(steps=4, batch_size=8, width=32, layers=1)
    for name in "ab":
        pretrain(small, tmp_path / name)
    sums = [json.loads((tmp_path / name / "recipe.json").read_text())["sha256"] for name in "ab"]
    assert sums[0] == sums[1]


def test_texts_grow_from_short_ones_with_a_solution_to_the_recipes_mix():
    recipe = Recipe(steps=1000, drill_steps=100, operations=10, off_path=0.3)
    first, longest = mix_at(100, recipe)
    assert (first.open_book_share, first.answer_share, first.copy_words, first.off_path) == (0.65, 0.0, 1.0, 0.4)
    assert longest == 3
    middle, longest = mix_at(250, recipe)
    assert 3 < longest < 11
    assert 0 < middle.answer_share < recipe.answer_share
    last, longest = mix_at(400, recipe)
    assert last.model_dump() == pytest.approx(recipe.model_dump())
    assert longest == 11
    assert mix_at(100, Recipe(steps=1000, off_path=0.0))[0].off_path == 0


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_weights_are_those_of_their_recipe_file(name):
    path = ASSETS / name
    stored = json.loads((path / "recipe.json").read_text())
    assert hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest() == stored["sha256"]
    made_of = {"corpus": CORPUS_VERSION, "modulus": MODULUS, "sha256": stored["sha256"]}
    assert stored == {**RECIPES[name].model_dump(), **made_of}


def accuracy(path):
    torch.manual_seed(0)
    model, tokenizer, task = load_model(ModelConfig(path=path)).eval(), load_tokenizer(path), ArithmeticTask()
    examples = task.suites()["chain"]
    texts = sample(
        model, tokenizer, [each.prompt for each in examples], max_new_tokens=task.max_completion_tokens
    ).texts
    assert not any("reference" in text for text in texts)
    return sum(task.verify(text, each.answer).correct for text, each in zip(texts, examples, strict=True)) / len(texts)


def test_opds_teacher_is_better_than_the_base():
    assert accuracy("micro-teacher") > 0.95


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_base_rebuilt_from_its_seed_is_as_good_as_the_shipped_one(tmp_path):
    pretrain(RECIPES["micro-base"], tmp_path / "base")
    assert accuracy(str(tmp_path / "base")) == pytest.approx(accuracy("micro-base"), abs=0.1)
