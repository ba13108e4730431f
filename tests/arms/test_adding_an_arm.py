"""docs/adding-an-arm.md is run as it stands, and arms of one's own come in by the front door."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
import yaml
from trainers import history, reward_even_length
from typer.testing import CliRunner

from rlsd_cli.arms import Look, configure, load_arm, look_of
from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import RunDir

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-arm.md"
CODE = re.search(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S).group(1)


@pytest.fixture
def mylab(tmp_path, monkeypatch):
    """The page's module in the working directory, not on the path."""
    (tmp_path / "mylab").mkdir()
    (tmp_path / "mylab" / "contrast.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield
    for name in ("mylab", "mylab.contrast"):
        sys.modules.pop(name, None)


def rlsd(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_worked_example_is_at_most_forty_lines():
    assert len(CODE.splitlines()) <= 40


def test_the_worked_example_is_trained_audited_and_drawn_in_its_own_colour(mylab, tiny_model, tmp_path):
    small = ["train.steps=2", "train.prompts_per_step=2", "train.group_size=4", "train.max_completion_tokens=12"]
    small += ["log.probe_every=2", "log.probe_prompts=2", "log.probe_group=2", f"model.path={tiny_model}"]
    sets = [part for text in small for part in ("--set", text)]
    for method in ("mylab.contrast", "grpo"):
        rlsd("train", "--method", method, *sets, "--quiet")
    run = tmp_path / "runs" / "micro" / "mylab.contrast" / "seed-0"
    assert RunDir(run).status()["state"] == "complete"
    assert {"right/present", "wrong/present"} <= set(RunDir(run).metrics()[0])
    rlsd("leakage-audit", run)
    assert (run / "leakage" / "report.json").is_file()
    grpo = tmp_path / "runs" / "micro" / "grpo" / "seed-0"
    rlsd("plot", run, grpo, "--format", "svg", "--output-dir", tmp_path / "figures")
    pictures = [path.read_text() for path in (tmp_path / "figures").rglob("*.svg")]
    assert any("#117733" in picture.upper() for picture in pictures), "its own colour"
    assert not any("#DDCC77" in picture.upper() for picture in pictures), "the control: nobody's"


def test_its_limit_is_grpo_to_the_bit(mylab, tiny_trainer):
    grpo = history(reward_even_length(tiny_trainer("grpo", folder="a")))
    limit = history(reward_even_length(tiny_trainer("mylab.contrast", {"objective": {"mix": 0.0}}, folder="b")))
    assert grpo == limit


def test_its_options_are_checked(mylab, tiny_config):
    with pytest.raises(UserError, match=r"'objective\.epsilon_w' is 2"):
        tiny_config("mylab.contrast", {"objective": {"epsilon_w": 2}})


def test_an_arm_without_a_teacher_trains_and_its_pure_part_by_hand(tiny_trainer):
    from lab.positive import Options, credit

    from rlsd_cli.arms.tokens import Tokens

    advantage, mask = torch.tensor([2.0, -2.0]), torch.ones(2, 3)
    tokens = Tokens(mask, {}, {}, mask, advantage, advantage > 0, mask, mask, 1)
    assert credit(tokens, Options(negative_share=0.25)).values.tolist() == [[2.0] * 3, [-0.5] * 3]
    assert len(history(reward_even_length(tiny_trainer("lab.positive")))) == 3


def test_an_arm_that_no_preset_knows_takes_the_presets_of_its_like():
    layer = configure.preset_layer("smollm2", "lab.positive")
    grpo = yaml.safe_load(configure.preset_file("smollm2", "grpo").read_text())
    assert layer == {
        **{key: grpo[key] for key in grpo if key not in ("objective", "teacher")},
        "method": "lab.positive",
    }
    assert configure.build([layer]).method == "lab.positive"


def test_an_arm_takes_its_likes_settings_from_every_preset_that_has_no_file_of_its_own():
    own = configure.preset_layer("micro", "srpo")
    assert (
        own["train"]["learning_rate"]
        == yaml.safe_load(configure.preset_file("micro", "srpo").read_text())["train"]["learning_rate"]
    )
    borrowed = configure.preset_layer("smollm2", "srpo")  # like SDPO, but for teacher and objective
    assert borrowed["train"] == yaml.safe_load(configure.preset_file("smollm2", "sdpo").read_text())["train"]
    assert "objective" not in borrowed
    with pytest.raises(UserError, match=r"preset 'micro-official' has no file for 'srpo'; it has: rlsd"):
        configure.preset_layer("micro-official", "srpo")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lab.missing", "can't be imported"),
        ("lab.broken", "a_package_that_is_not_there"),
        ("lab.no_arm", "holds no arm"),
        ("lab.positve", "can't be imported"),
        ("positive", "there is no method 'positive'"),
        ("grpoo", "did you mean 'grpo'"),
        ("../lab/positive", "there is no method"),
        (".positive", "there is no method"),
        ("lab..positive", "there is no method"),
    ],
)
def test_a_method_that_is_no_arm_is_one_sentence(name, words):
    with pytest.raises(UserError, match=re.escape(words)):
        load_arm(name)


def test_no_module_is_imported_because_a_run_directory_names_it(tiny_config):
    sys.modules.pop("lab.broken", None)
    assert not configure.describes({"method": "lab.broken"}, tiny_config("grpo"))
    assert "lab.broken" not in sys.modules


def test_a_run_keeps_its_arms_card(tiny_config, tmp_path):
    from rlsd_cli.training.run import train

    run = train(tiny_config("lab.positive", {"train": {"steps": 1}}), tmp_path / "run")
    card = json.loads(run.provenance_file.read_text())["arm"]
    assert Look.model_validate(card["look"]) == load_arm("lab.positive").look
    assert card["name"] == "positive"
    assert card["needs_teacher"] is False


def test_looks_made_from_names_differ():
    looks = [look_of(f"lab.arm{number}") for number in range(50)]
    assert len({look.colour for look in looks}) == 50
    assert look_of("lab.arm1") == looks[1]
    assert looks[1].title == "arm1"
