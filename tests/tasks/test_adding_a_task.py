"""docs/adding-a-task.md is run as it stands: a task and a reward from outside the package."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.config.run import TaskConfig
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import evaluate_run
from rlsd_cli.evaluation.settings import EvalOptions
from rlsd_cli.tasks.load import load_task
from rlsd_cli.tasks.rewards import TERMS
from rlsd_cli.training.run import train
from rlsd_cli.verifiers.reward import composite_reward
from rlsd_cli.verifiers.verdict import Verdict

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-task.md"
REWARD = [{"name": "accuracy", "weight": 0.9}, {"name": "smallest:brief", "weight": 0.1}]


@pytest.fixture
def smallest(tmp_path, monkeypatch):
    """The page's module in the working directory, which a command finds."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S).group(1)
    (tmp_path / "smallest.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("smallest", None)


def task(**section):
    return TaskConfig.model_validate({"name": "smallest:Smallest", **section})


def test_the_worked_example_is_trained_evaluated_and_audited(smallest, tiny_config, tmp_path):
    section = {"name": "smallest:Smallest", "options": {"count": 3, "questions": 6}, "reward": REWARD}
    run = train(tiny_config("rlsd", {"task": section}), tmp_path / "run")
    rows = pd.concat([pd.read_parquet(path) for _, path in run.step_files(run.completions_dir)])
    assert rows["prompt"].str.count(";").eq(2).all()
    expected = [
        0.9 * correct + 0.1 / max(len(text.split()), 1)
        for text, correct in zip(rows["completion"], rows["correct"], strict=True)
    ]
    assert rows["reward"].tolist() == pytest.approx(expected)
    (summary,) = evaluate_run(run.path, EvalOptions(samples=1), [])
    assert (summary["suite"], summary["n_questions"], summary["task_suites"]) == ("odd_sums", 6, ["odd_sums"])
    audited = CliRunner().invoke(app, ["leakage-audit", str(run.path)])
    assert audited.exit_code == 0, audited.output
    assert json.loads((run.leakage_dir / "report.json").read_text())["n"] == len(rows)


def test_no_training_question_of_the_example_is_in_its_suite(smallest):
    made = load_task(task(options={"count": 2}))
    training = {made.train_example(0, index).prompt for index in range(300)}
    assert not training & {example.prompt for example in made.suites()["odd_sums"]}


def test_the_weighted_terms_of_the_papers_script_are_its_composite_reward():
    config = TaskConfig.model_validate(
        {"reward": [{"name": "accuracy", "weight": 0.9}, {"name": "format", "weight": 0.1}]}
    )
    reward = load_task(config).reward
    for text in ("<thought>a</thought><answer>3</answer>", "3"):
        for right in (True, False):
            assert reward(text, Verdict(right, "3")) == composite_reward(text, Verdict(right, "3"))


def test_a_task_without_a_reward_list_keeps_its_own_and_its_configuration_says_nothing_of_one():
    assert "reward" not in TaskConfig().model_dump()
    assert "options" not in TaskConfig().model_dump()
    assert load_task(TaskConfig()).reward("", Verdict(True, "")) == 1.0
    assert set(TERMS) == {"accuracy", "format"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"options": {"cuont": 3}}, "can't be made with task.options: .*cuont"),
        ({"options": {"count": 1}}, "can't be made with task.options: count must be at least 2"),
        ({"name": "smallest:Smalest"}, "the task 'smallest:Smalest' can't be imported"),
        ({"name": "no_such_module:Task"}, "can't be imported"),
        ({"name": "smallest:brief", "options": {"completion": "", "verdict": None}}, "lacks train_example"),
        ({"reward": [{"name": "smallest:no"}]}, "the reward 'smallest:no' can't be imported"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(smallest, section, message):
    with pytest.raises(UserError, match=message):
        load_task(task(**section))


def test_a_reward_that_is_no_number_is_named(smallest, tmp_path):
    (tmp_path / "odd.py").write_text("def words(completion, verdict):\n    return 'good'\n")
    reward = load_task(task(reward=[{"name": "odd:words"}])).reward
    with pytest.raises(UserError, match="'odd:words' gives str: return a number"):
        reward("x", Verdict(True, "x"))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "arithmetik"}, "did you mean 'arithmetic'"),
        ({"name": "a b:C"}, "there is no task 'a b:C'"),
        ({"options": {"count": 3}, "name": "arithmetic"}, "task.options are for a task of your own"),
        ({"reward": []}, "at least 1"),
        ({"reward": [{"name": "acuracy"}]}, "did you mean 'accuracy'"),
        ({"reward": [{"name": "accuracy", "weight": float("inf")}]}, "finite"),
        ({"reward": [{"name": "accuracy", "wieght": 1}]}, "wieght"),
    ],
)
def test_a_mistake_in_the_section_is_one_sentence(tiny_config, section, message):
    with pytest.raises(UserError, match=message):
        tiny_config("grpo", {"task": section})
