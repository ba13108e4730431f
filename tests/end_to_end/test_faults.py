"""Full disks, closed directories, signals and kills, met by processes of `rlsd train`."""

import errno
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from processes import Command, rlsd

from rlsd_cli.errors import UserError
from rlsd_cli.runs import directory as artifacts
from rlsd_cli.runs.checkpoints import is_intact, newest_intact
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.training.run import disk_is_full, train

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.timeout(0)  # processes are waited for by their progress


def soak(*words):
    return Command([sys.executable, ROOT / "scripts" / "soak.py", *words], ROOT).finish()


def test_runs_that_were_killed_lose_nothing():
    result = soak("--arm", "rlsd", "--kills", "5", "--seed", "3")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 kills" in result.stdout


@pytest.mark.slow
def test_runs_that_were_killed_twenty_times_lose_nothing():
    result = soak("--arm", "sdpo", "--arm", "rlsd", "--kills", "10", "--seed", "4")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "20 kills" in result.stdout


@pytest.mark.parametrize("name", ["write_bytes", "append_line"])
def test_a_disk_that_fills_up_is_one_sentence_and_the_run_goes_on_later(tiny_config, tmp_path, monkeypatch, name):
    settings = tiny_config("grpo", {"train": {"steps": 4}})
    whole = train(settings, tmp_path / "whole")
    from rlsd_cli.training import callbacks

    module, real, calls = (artifacts if name == "write_bytes" else callbacks), getattr(artifacts, name), []

    def full(path, content):
        calls.append(path)
        if RunDir(tmp_path / "run").checkpoints_dir.joinpath("checkpoint-2").is_dir() and len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, full)
        with pytest.raises(UserError, match="disk is full"):
            train(settings, tmp_path / "run")
    resumed = train(settings, tmp_path / "run", resume=True)
    losses = [[record["loss"] for record in run.metrics()] for run in (whole, resumed)]
    assert losses[0] == losses[1]


def test_what_libraries_say_of_a_full_disk_is_understood():
    from safetensors import SafetensorError

    def raised(error, cause=None):
        try:
            raise error from cause
        except Exception as caught:
            return caught

    full = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert disk_is_full(full)
    assert disk_is_full(
        raised(RuntimeError("unexpected pos 64 vs 0"), RuntimeError("PytorchStreamWriter failed writing file"))
    )
    assert disk_is_full(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert not disk_is_full(OSError(errno.EACCES, "Permission denied"))
    assert not disk_is_full(raised(ValueError("x"), KeyError("y")))


def test_a_directory_that_cannot_be_written_is_one_sentence(tiny_config, tmp_path, monkeypatch):
    def closed(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "run"))

    monkeypatch.setattr(Path, "mkdir", closed)  # root, who runs some test suites, may write anywhere
    with pytest.raises(UserError, match=r"run cannot be written: check its permissions"):
        train(tiny_config("grpo"), tmp_path / "run")


def test_a_checkpoint_with_other_bytes_of_the_same_length_is_passed_over(tiny_config, tmp_path):
    settings = tiny_config("grpo", {"train": {"steps": 4}})
    run = train(settings, tmp_path / "run")
    newest = run.checkpoints_dir / "checkpoint-4"
    assert newest_intact(run.checkpoints_dir) == (4, newest)
    weights = newest / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert not is_intact(newest)
    assert newest_intact(run.checkpoints_dir) == (2, run.checkpoints_dir / "checkpoint-2")


def test_an_older_checkpoint_goes_only_after_the_newer_one_is_whole(tiny_config, tmp_path, monkeypatch):
    from rlsd_cli.runs import checkpoints

    real, before = checkpoints.digests, []

    def killed(directory):
        before.append(newest_intact(directory.parent))
        if directory.name == "checkpoint-4":
            raise KeyboardInterrupt  # stands for a kill just before the mark
        return real(directory)

    monkeypatch.setattr(checkpoints, "digests", killed)
    monkeypatch.setattr(checkpoints, "is_intact", checkpoints.is_complete)
    settings = tiny_config("grpo", {"train": {"steps": 6, "keep_checkpoints": 1}})
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "run")
    assert before[0] is None
    assert before[1][0] == 2
    monkeypatch.undo()
    train(settings, tmp_path / "run", resume=True)
    assert [step for step, _ in checkpoints.checkpoints(tmp_path / "run" / "checkpoints")] == [6]


def test_a_run_killed_before_its_first_status_can_be_resumed(tiny_config, tmp_path):
    from rlsd_cli.config.run import dump

    settings = tiny_config("grpo", {"train": {"steps": 1}})
    artifacts.write_text(tmp_path / "run" / "config.yaml", dump(settings))
    assert train(settings, tmp_path / "run", resume=True).status()["state"] == "complete"


def test_a_damaged_provenance_is_one_sentence(tiny_config, tmp_path):
    settings = tiny_config("grpo", {"train": {"steps": 1}})
    artifacts.write_text(tmp_path / "run" / "provenance.json", "{")
    with pytest.raises(UserError, match=r"provenance\.json is damaged"):
        train(settings, tmp_path / "run", resume=True)


@pytest.fixture
def running(tmp_path):
    """A run of 400 steps that has written its first metrics."""
    sets = ["train.steps=400", "train.prompts_per_step=2", "train.group_size=4", "train.threads=1"]
    words = [word for text in sets for word in ("--set", text)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = rlsd("train", "--method", "grpo", *words, "--output-dir", tmp_path / "run", cwd=ROOT, env=environment)
    try:
        command.wait_for((tmp_path / "run" / "metrics.jsonl").is_file)
        yield command
    finally:
        command.kill()


def test_sigterm_saves_and_leaves_and_a_second_process_is_refused(running, tmp_path):
    config = tmp_path / "run" / "config.yaml"
    second = rlsd("train", "--config", config, "--output-dir", tmp_path / "run", "--resume", cwd=ROOT).finish()
    assert second.returncode == 2
    assert re.search(r"another process( \(\d+\))? is training in", second.stderr)
    running.process.send_signal(signal.SIGTERM)
    running.finish()
    assert running.returncode == 0, running.stdout + running.stderr
    run = RunDir(tmp_path / "run")
    assert run.status()["state"] == "interrupted"
    assert newest_intact(run.checkpoints_dir)[0] == run.status()["step"]


def test_ctrl_c_twice_leaves_at_once_and_writes_no_checkpoint(monkeypatch):
    from rlsd_cli.training.callbacks import InterruptCallback

    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    callback = InterruptCallback()
    callback.on_train_begin(None, None, None)
    try:
        signal.raise_signal(signal.SIGINT)
        assert callback.interrupted
        assert left == []
        signal.raise_signal(signal.SIGINT)
        assert left == [130]
    finally:
        callback.restore()
