"""Values of `--set` and of YAML files that are texts: empty, like numbers, like mappings; keys that stand twice."""

import pytest

from rlsd_cli.arms.configure import build
from rlsd_cli.config import layers
from rlsd_cli.config.assignments import parse_assignment
from rlsd_cli.config.layers import read_yaml
from rlsd_cli.errors import UserError


def value(text):
    tree = parse_assignment(text)
    while isinstance(tree, dict):
        (tree,) = tree.values()
    return tree


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("task.data.instruction=", ""),
        ('task.data.instruction=""', ""),
        ("task.data.instruction=Answer: 7", "Answer: 7"),
        ("task.data.instruction=[box it", "[box it"),
        ("task.data.columns.answer=no", "no"),
        ("task.data.columns.images=", None),
        ("label=007", "007"),
        ("label='a b'", "a b"),
        ("train.steps=7", 7),
        ("objective.beta=0.5", 0.5),
        ("train.lora_targets=[q, v]", ["q", "v"]),
    ],
)
def test_a_text_stays_the_text_that_it_is(text, wanted):
    assert value(text) == wanted


def test_an_empty_instruction_is_allowed_on_the_command_line_and_in_a_file(tmp_path):
    (tmp_path / "a.yaml").write_text("method: grpo\ntask:\n  name: dataset\n  data:\n    path: x\n    instruction:\n")
    from_file = read_yaml(tmp_path / "a.yaml")
    assert build([from_file]).task.data.instruction == ""
    given = [{"method": "grpo", "task": {"name": "dataset", "data": {"path": "x"}}}]
    assert build([*given, parse_assignment("task.data.instruction=")]).task.data.instruction == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method: rlsd\nseed: 1\nmethod: grpo\n", "has the key 'method' in line 1 and in line 3: keep one"),
        ("train:\n  steps: 1\n  steps: 2\n", "has the key 'steps' in line 2 and in line 3"),
        (b"method: \xff\xff", "no text in UTF-8"),
        ("a: [1", "not valid YAML"),
        ("- 1", "must hold keys and values"),
        ("a: &a [*a]", None),
        ("x: &x {a: 1}\ny: {<<: *x, b: 2}\n", None),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, words):
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if words is None:
        assert isinstance(read_yaml(path), dict)
        return
    with pytest.raises(UserError, match=words):
        read_yaml(path)


def test_a_file_in_utf16_is_read_as_yaml_allows(tmp_path):
    (tmp_path / "a.yaml").write_text("seed: 1\n", encoding="utf-16")
    assert read_yaml(tmp_path / "a.yaml") == {"seed": 1}


def test_a_folder_and_an_address_are_no_files(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read: is a directory\.$"):
        read_yaml(tmp_path)
    with pytest.raises(UserError, match="is an address"):
        read_yaml(layers.Path("https://example.org/a.yaml"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": {"steps": None}}, "'train.steps' has no value: give one"),
        ({"model": {"path": ""}}, "'model.path' is ''"),
    ],
)
def test_a_value_that_is_not_there_is_told_as_such(change, words):
    with pytest.raises(UserError, match=words):
        build([{"method": "grpo"}, change])
