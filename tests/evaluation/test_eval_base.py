"""`rlsd eval --model`: an untrained model gets a directory that plots can read beside the trained runs."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.config.run import TaskConfig
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import base_run
from rlsd_cli.report.runs import open_run
from rlsd_cli.runs.directory import RunDir


def evaluate(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.fixture(scope="module")
def base(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "seed-0"
    result = evaluate(
        *("--model", tiny_model, "--output-dir", path, "--suite", "chain", "--limit", 5, "--samples", 2, "--threads", 1)
    )
    assert result.exit_code == 0, result.output
    return path


def test_an_untrained_model_is_evaluated_as_a_complete_run_of_no_steps(base):
    run = open_run(base)
    assert (run.method, run.label, run.seed, run.step, run.complete) == ("base", "base", 0, 0, True)
    assert len(pd.read_parquet(base / "eval" / "chain.parquet")) == 5 * (1 + 2)
    assert json.loads((base / "eval" / "chain.json").read_text())["checkpoint_step"] == 0
    assert run.metrics.empty


def test_the_directory_can_be_evaluated_again_by_itself(base):
    before = (base / "eval" / "chain.parquet").read_bytes()
    (base / "eval" / "chain.json").unlink()
    result = evaluate(base, "--suite", "chain", "--limit", 5, "--samples", 2, "--threads", 1)
    assert result.exit_code == 0, result.output
    assert (base / "eval" / "chain.parquet").read_bytes() == before


def test_another_model_or_task_does_not_go_into_the_same_directory(base, tiny_model):
    with pytest.raises(UserError, match="another model or task"):
        base_run(base, "micro-base", TaskConfig())
    with pytest.raises(UserError, match="another model or task"):
        base_run(base, str(tiny_model), TaskConfig(operations=5))


def test_a_directory_killed_while_it_was_made_is_finished(tmp_path):
    run = base_run(tmp_path / "base", "micro-base", TaskConfig())
    run.status_file.unlink()
    assert base_run(run.path, "micro-base", TaskConfig()).status()["state"] == "running"


def test_the_task_of_a_configuration_is_asked_and_set_wins(tmp_path, tiny_model):
    (tmp_path / "run.yaml").write_text("method: grpo\ntask: {operations: 2}\n")
    result = evaluate(
        *("--model", tiny_model, "--output-dir", tmp_path / "base", "--config", tmp_path / "run.yaml"),
        *("--set", "task.operations=3", "--suite", "chain", "--limit", 2, "--samples", 1, "--threads", 1),
    )
    assert result.exit_code == 0, result.output
    assert RunDir.open(tmp_path / "base").config()["task"]["operations"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a run directory, or --model"),
        (["--model", "micro-base"], "takes --output-dir"),
        (["RUN", "--output-dir", "X"], "give a run directory, or --model"),
        (["RUN", "--model", "micro-base", "--output-dir", "X"], "no run directory"),
        (["--model", "micro-base", "--output-dir", "full"], "is not a run directory"),
        (["--model", "micro-base", "--output-dir", "file"], "is a file"),
        (["--model", "micro-base", "--output-dir", "X", "--config", "task.yaml"], "did you mean"),
        (["--model", "micro-base", "--output-dir", "X", "--set", "train.steps=3"], "only the task"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("")
    (tmp_path / "file").write_text("")
    (tmp_path / "task.yaml").write_text("task: {operatons: 3}\n")
    result = evaluate(*arguments)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
