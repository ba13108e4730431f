"""Names of bases: dials after a colon, their ranges, and one clear sentence for each mistake."""

import pytest

from rlsd_cli.arms.configure import build, describes
from rlsd_cli.config.recipe import RECIPES, Recipe, is_base, parse
from rlsd_cli.errors import UserError
from rlsd_cli.testbed.cache import digest


def test_a_name_is_a_preset_with_changed_dials():
    assert parse("micro-base") == RECIPES["micro-base"]
    assert parse("micro-credit:citing=0.5,seed=3") == RECIPES["micro-credit"].model_copy(
        update={"citing": 0.5, "seed": 3}
    )
    assert is_base("micro-base:citing=0.5")
    assert not is_base("runs/micro-base:citing=0.5")
    assert not is_base("smollm2")


@pytest.mark.parametrize("citing", [0, 0.12, 0.5, 0.7, 0.9])
def test_the_citing_probability_takes_all_the_documented_values(citing):
    assert parse(f"micro-base:citing={citing}").citing == citing


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("micro-base:citing=1.5", r"'citing' is 1\.5: input should be less than or equal to 1\."),
        ("micro-base:citing=nan", "'citing' is"),
        ("micro-base:citing=.inf", "'citing' is inf"),
        ("micro-base:citng=0.5", "did you mean 'citing'"),
        ("micro-base:citing", "are written like micro-base:citing=0.5,seed=3"),
        ("micro-base:words=9", "'words' is 9"),
        ("micro-base:word_choices=13", "'word_choices' is 13"),
        ("micro-base:operations=0", "'operations' is 0"),
        ("micro-base:operations=13", "'operations' is 13"),
        ("micro-base:width=65", "'width' is 65"),
        ("micro-base:idle_weight=0", "'idle_weight' is 0"),
        ("micro-base:head_dim=33", "'head_dim' is 33"),
        ("micro-base:belief_low=0.9,belief_high=0.8", "belief_low must not be above belief_high"),
        ("micro-base:belief_share=-0.1", "'belief_share' is -0.1"),
        ("micro-base:slip=0.6", "'slip' is 0.6"),
        ("micro-base:seed=[", "'seed' is"),
        ("micro-base:seed=-1", "'seed' is -1"),
        ("micro-base:steps=0", "'steps' is 0"),
    ],
)
def test_a_wrong_dial_is_one_sentence(name, message):
    with pytest.raises(UserError, match=message) as caught:
        parse(name)
    assert str(caught.value).count("\n") == 0


def test_each_dial_is_part_of_the_digest():
    changed = {
        "citing": 0.5,
        "words": 2,
        "word_choices": 7,
        "belief_share": 0.1,
        "belief_low": 0.1,
        "belief_high": 0.99,
        "slip": 0.1,
        "operations": 5,
        "width": 72,
        "layers": 4,
        "heads": 2,
        "head_dim": 16,
        "steps": 10,
        "drill_steps": 10,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "open_book_share": 0.1,
        "form_weight": 1.0,
        "idle_weight": 1.0,
        "answer_share": 0.1,
        "copy_words": 0.1,
        "other_draft": 0.1,
        "seed": 5,
        "off_path": 0.1,
    }
    assert set(changed) == set(Recipe.model_fields)
    digests = {digest(Recipe(**{key: value})) for key, value in changed.items()} | {digest(Recipe())}
    assert len(digests) == len(changed) + 1


def test_the_task_follows_the_base():
    task = build([{"method": "grpo", "model": {"path": "micro-credit"}}]).task
    assert (task.operations, task.words, task.word_choices) == (10, 3, 12)
    task = build([{"method": "grpo", "model": {"path": "micro-base:words=0"}}]).task
    assert (task.operations, task.words) == (4, 0)


def test_fewer_operations_may_be_asked_but_no_other_words():
    layer = {"method": "grpo", "model": {"path": "micro-credit"}}
    assert build([layer, {"task": {"operations": 3}}]).task.operations == 3
    with pytest.raises(UserError, match=r"task\.words is 1, but micro-credit .* 3: set both alike"):
        build([layer, {"task": {"words": 1}}])
    with pytest.raises(UserError, match="did you mean 'citing'"):
        build([{"method": "grpo", "model": {"path": "micro-base:citng=0.5"}}])


def test_a_configuration_with_a_base_reads_back_the_same():
    config = build([{"method": "rlsd", "model": {"path": "micro-base:citing=0.5,words=2"}}])
    assert describes(config.model_dump(), config)
    assert config.task.words == 2
