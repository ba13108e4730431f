"""The run directory's files: atomic, tolerant of a torn end, strict about damage."""

import json
import os

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.runs import directory as artifacts
from rlsd_cli.runs.directory import RunDir


@pytest.fixture
def run(tmp_path):
    run_dir = RunDir(tmp_path / "run")
    artifacts.write_text(run_dir.config_file, "method: grpo\n")
    run_dir.write_status(state="running", step=0, steps=3)
    return run_dir


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    artifacts.write_json(path, {"a": 1})

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="space"):
        artifacts.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def test_numbers_that_are_none_are_written_as_null(tmp_path):
    artifacts.write_json(tmp_path / "a.json", {"x": [float("nan"), float("inf"), 1.0]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [None, None, 1.0]}


@pytest.mark.parametrize("tail", ["", '{"step": 3, "lo', '{"step": 3, "loss": 1.0}', "\x00\x00", "[1]"])
def test_a_torn_last_line_is_dropped(run, tail):
    run.metrics_file.write_text('{"step": 1}\n{"step": 2}\n' + tail)
    steps = [record["step"] for record in run.metrics()]
    assert steps == ([1, 2, 3] if tail.endswith("}") else [1, 2])


def test_damage_before_the_last_line_is_named(run):
    run.metrics_file.write_text('{"step": 1}\n{"ste\n{"step": 3}\n')
    with pytest.raises(UserError, match="line 2"):
        run.metrics()


def test_discarding_keeps_steps_up_to_the_checkpoint(run):
    run.metrics_file.write_text("".join(json.dumps({"step": step}) + "\n" for step in range(1, 6)))
    for directory in (run.completions_dir, run.credit_dir):
        for step in range(1, 6):
            artifacts.write_text(directory / f"step-{step:06d}.parquet", "")
    run.discard_after(3)
    assert [record["step"] for record in run.metrics()] == [1, 2, 3]
    for directory in (run.completions_dir, run.credit_dir):
        assert [step for step, _ in run.step_files(directory)] == [1, 2, 3]


def test_status_keeps_the_fields_that_are_not_given(run):
    run.write_status(step=2)
    assert run.status() == {"schema_version": 1, "state": "running", "step": 2, "steps": 3}


def test_what_is_no_run_directory_is_refused(run, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        RunDir.open(tmp_path / "none")
    with pytest.raises(UserError, match="not a run directory"):
        RunDir.open(tmp_path)
    run.status_file.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        RunDir.open(run.path)
    run.status_file.write_text('{"schema_version": 99}')
    with pytest.raises(UserError, match="schema version 99"):
        RunDir.open(run.path)
