"""Configuration: layers, overrides, and one clear sentence for each mistake."""

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsd_cli.arms import ARMS, configure, load_arm
from rlsd_cli.config import layers
from rlsd_cli.config.assignments import parse_assignment
from rlsd_cli.config.run import dump
from rlsd_cli.errors import UserError


def test_later_layers_win_section_by_section():
    built = configure.build([{"method": "rlsd", "train": {"steps": 7, "group_size": 4}}, {"train": {"steps": 9}}])
    assert (built.train.steps, built.train.group_size) == (9, 4)


def test_an_arms_defaults_lie_below_the_layers():
    assert configure.build([{"method": "rlsd"}]).teacher.reference == "answer"
    assert configure.build([{"method": "rlsd", "teacher": {"reference": "solution"}}]).teacher.reference == "solution"


@pytest.mark.parametrize("method", ARMS)
def test_a_dumped_configuration_builds_itself_again(method):
    built = configure.build([{"method": method, "train": {"learning_rate": 1e-6}}])
    again = configure.build([yaml.safe_load(dump(built))])
    assert again == built


@pytest.mark.parametrize("method", ARMS)
def test_each_arm_has_a_testbed_preset(method):
    layer = configure.preset_layer("micro", method)  # of its own, or that of the arm that it is like
    assert configure.build([layer, {"method": method}]).method == method


def test_a_number_that_yaml_reads_as_text_is_still_a_number():
    # PyYAML reads 1e-6 (no dot) as a string.
    assert (
        configure.build([{"method": "grpo"}, parse_assignment("train.learning_rate=1e-6")]).train.learning_rate == 1e-6
    )


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"method": "rlds"}, ["no method 'rlds'", "'rlsd'"]),
        ({}, ["which method"]),
        ({"method": "grpo", "train": {"step": 3}}, ["'train.step'", "did you mean 'train.steps'"]),
        ({"method": "grpo", "sede": 3}, ["'sede'", "'seed'"]),
        ({"method": "grpo", "train": {"steps": "many"}}, ["'train.steps'", "'many'"]),
        ({"method": "grpo", "train": {"steps": 0}}, ["'train.steps'", "greater than or equal to 1"]),
        ({"method": "grpo", "train": {"group_size": 1}}, ["'train.group_size'"]),
        ({"method": "grpo", "train": 3}, ["'train'"]),
        ({"method": "rlsd", "objective": {"epsilon": 0.2}}, ["'objective.epsilon'", "'objective.epsilon_w'"]),
        ({"method": "rlsd", "objective": {"mix": 2}}, ["'objective.mix'"]),
        ({"method": "grpo", "objective": {"mix": 0.5}}, ["'objective.mix'"]),
        ({"method": "grpo", "train": {"micro_batch": 100}}, ["micro_batch must divide"]),
    ],
)
def test_a_mistake_gets_one_sentence_with_the_way_out(layer, words):
    with pytest.raises(UserError) as caught:
        configure.build([layer])
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("text", ["", "=", "train.steps", "train..steps=1", ".=1", "a b=1", "x=[1", "x={"])
def test_a_bad_assignment_is_refused(text):
    with pytest.raises(UserError, match="--set"):
        parse_assignment(text)


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\x00", "!!python/object/apply:os.system ['true']"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"c\.yaml"):
        layers.read_yaml(path)


def test_a_missing_file_and_preset_are_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        layers.read_yaml(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="did you mean 'micro'"):
        configure.preset_file("mirco", "rlsd")


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
sections = st.sampled_from(["method", "seed", "task", "model", "teacher", "objective", "train", "log", "label", "x"])


@given(st.dictionaries(sections, trees, max_size=5))
@settings(max_examples=500, deadline=None)
def test_any_configuration_is_built_or_refused_in_one_sentence(layer):
    # Any other exception fails the test.
    with contextlib.suppress(UserError):
        configure.build([{"method": "rlsd"}, layer])


def test_every_arm_in_the_registry_says_who_it_is():
    for name in ARMS:
        assert load_arm(name).name == name


def test_a_run_stored_before_a_setting_existed_is_still_the_same_run():
    built = configure.build([{"method": "rlsd", "seed": 3}])
    stored = yaml.safe_load(dump(built))
    del stored["train"]["threads"], stored["objective"]["renormalise"]
    assert configure.describes(stored, built)
    stored["train"]["steps"] += 1
    assert not configure.describes(stored, built)
    assert not configure.describes({"method": "rlsd", "no_such_key": 1}, built)
