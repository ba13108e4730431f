"""A whole run: what it writes, that it repeats itself, that it survives being stopped."""

import fcntl
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from rlsd_cli.arms import ARMS as REGISTRY
from rlsd_cli.errors import UserError
from rlsd_cli.runs.checkpoints import is_complete, newest_intact
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.training.run import train

DOCS = Path(__file__).parents[2] / "docs"
LAYER = {"train": {"steps": 5}, "objective": {}}
ARMS = {
    "sft": {},
    "grpo": {},
    "opsd": {},
    "sdpo": {"objective": {"top_k": 8}},
    "rlsd": {"teacher": {"source": "synced", "sync_every": 3}},
}


def without_times(run_dir):
    return [{k: v for k, v in record.items() if not k.startswith("time/")} for record in run_dir.metrics()]


def weights(run_dir):
    from safetensors.torch import load_file

    return load_file(run_dir.model_dir / "model.safetensors")


class Stopped(Exception):
    """Stands for whatever ends a process."""


def stop_at(step):
    def on_step(record):
        if record["step"] == step:
            raise Stopped

    return on_step


@pytest.fixture
def finished(tiny_config, tmp_path):
    return train(tiny_config("rlsd", {"train": {"steps": 4}}), tmp_path / "run")


def test_the_run_directory_is_as_documented(finished, tiny_config):
    text = (DOCS / "run-directory.md").read_text()
    completions, credit = text.split("## completions/")[1].split("## credit/")
    rollouts = pd.read_parquet(finished.completions_dir / "step-000001.parquet")
    assert list(rollouts.columns) == re.findall(r"^\| `(\w+)`", completions, flags=re.M)
    assert len(rollouts) == 8
    assert rollouts["sample_id"].tolist() == [0, 1, 2, 3] * 2
    assert rollouts.groupby("prompt_id").size().tolist() == [4, 4]
    probe = pd.read_parquet(finished.credit_dir / "step-000002.parquet")
    assert all(f"`{column}`" in credit for column in probe)
    for column in ("tokens", "delta", "delta_placebo", "weight", "token_advantage", "entropy", "kl"):
        assert (probe[column].map(len) == probe["tokens"].map(len)).all()
    assert finished.status()["state"] == "complete"
    assert finished.config()["method"] == "rlsd"
    attempt = json.loads(finished.provenance_file.read_text())["attempts"][0]
    assert attempt["versions"]["trl"].startswith("1.16")
    names = {path.name for path in finished.path.rglob("*")}
    assert not {name for name in names if name.endswith((".bin", ".pkl"))} - {"training_args.bin"}
    assert "training_args.bin" not in {path.name for path in finished.model_dir.iterdir()}


def test_the_credit_file_holds_the_papers_equations(finished):
    import math

    frame = pd.read_parquet(finished.credit_dir / "step-000002.parquet")
    for row in frame.itertuples():
        sign = (row.advantage > 0) - (row.advantage < 0)
        for delta, weight, credit in zip(row.delta, row.weight, row.token_advantage, strict=True):
            expected = min(max(math.exp(sign * delta), 0.8), 1.2)
            assert weight == pytest.approx(expected, rel=1e-5)
            assert credit == pytest.approx(row.advantage * expected, rel=1e-5)


def test_the_untrained_policys_samples_are_kept_and_are_no_metric(finished, tiny_config, tmp_path):
    other = train(tiny_config("grpo", {"train": {"steps": 1}}), tmp_path / "grpo")
    first, theirs = (pd.read_parquet(run.credit_dir / "step-000000.parquet") for run in (finished, other))
    assert first["completion"].tolist() == theirs["completion"].tolist()  # all arms of a seed start alike
    assert [record["step"] for record in finished.metrics()] == [1, 2, 3, 4]


@pytest.mark.parametrize("method", ["sft", "rlsd", "rlsd:vine", "rlsd:unclipped", "grpo_opsd", "sdpo"])
def test_every_metric_is_documented(tiny_config, tmp_path, method):
    method, _, control = method.partition(":")
    objective = {"objective": {"top_k": 8}} if method == "sdpo" else {}
    if control:
        objective = {"objective": {"evidence": "vine", "unclipped": control == "unclipped"}}
    run = train(tiny_config(method, {"train": {"steps": 2}}, objective), tmp_path / "run")
    documented = set(re.findall(r"`([\w/]+)`", (DOCS / "metrics.md").read_text()))
    logged = {key for record in run.metrics() for key in record}
    assert logged - documented == set()


def test_the_same_seed_gives_the_same_metrics_and_weights(tiny_config, tmp_path):
    first = train(tiny_config("rlsd"), tmp_path / "a")
    second = train(tiny_config("rlsd"), tmp_path / "b")
    assert without_times(first) == without_times(second)
    assert all((weights(second)[name] == tensor).all() for name, tensor in weights(first).items())


def test_another_seed_gives_other_metrics(tiny_config, tmp_path):
    first = train(tiny_config("grpo"), tmp_path / "a")
    second = train(tiny_config("grpo", {"seed": 1}), tmp_path / "b")
    assert without_times(first) != without_times(second)


def test_another_probing_interval_trains_the_same(tiny_config, tmp_path):
    often = train(tiny_config("grpo", {"log": {"probe_every": 1}}), tmp_path / "a")
    seldom = train(tiny_config("grpo", {"log": {"probe_every": 100}}), tmp_path / "b")
    losses = [[record["loss"] for record in run.metrics()] for run in (often, seldom)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "method", [*ARMS, *(pytest.param(name, marks=pytest.mark.slow) for name in REGISTRY if name not in ARMS)]
)
def test_a_stopped_run_resumes_to_the_same_result(tiny_config, tiny_model, tmp_path, method):
    external = {"teacher": {"model": str(tiny_model)}} if method == "opd" else {}
    config = tiny_config(method, LAYER, ARMS.get(method, external))
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(config, tmp_path / "stopped", on_step=stop_at(4))  # after the checkpoint of step 2 and two more steps
    assert RunDir(tmp_path / "stopped").status()["state"] == "failed"
    resumed = train(config, tmp_path / "stopped", resume=True)
    attempts = json.loads(resumed.provenance_file.read_text())["attempts"]
    assert [attempt["from_step"] for attempt in attempts] == [0, 2], "trained again from the start, it would agree too"
    assert without_times(resumed) == without_times(whole)
    assert all((weights(resumed)[name] == tensor).all() for name, tensor in weights(whole).items())
    steps = [step for step, _ in resumed.step_files(resumed.completions_dir)]
    assert steps == ([] if method == "sft" else [1, 2, 3, 4, 5])


def test_a_damaged_checkpoint_is_passed_over_and_named(tiny_config, tmp_path):
    config = tiny_config("grpo", {"train": {"steps": 6}})
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(config, tmp_path / "run", on_step=stop_at(5))
    run = RunDir(tmp_path / "run")
    newest = run.checkpoints_dir / "checkpoint-4"
    assert newest_intact(run.checkpoints_dir) == (4, newest)
    (newest / "model.safetensors").write_bytes(b"torn")
    assert not is_complete(newest)
    said = []
    resumed = train(config, run.path, resume=True, say=said.append)
    assert any("checkpoint-4" in text and "checkpoint-2" in text for text in said)
    assert without_times(resumed) == without_times(whole)


def test_a_complete_run_is_left_alone(finished, tiny_config):
    before = finished.metrics_file.read_bytes()
    said = []
    train(tiny_config("rlsd", {"train": {"steps": 4}}), finished.path, resume=True, say=said.append)
    assert finished.metrics_file.read_bytes() == before
    assert "complete already" in said[0]


def test_a_directory_with_another_run_is_refused(finished, tiny_config):
    before = finished.metrics_file.read_bytes()
    with pytest.raises(UserError, match="--resume"):
        train(tiny_config("rlsd", {"train": {"steps": 4}}), finished.path)
    with pytest.raises(UserError, match="another configuration"):
        train(tiny_config("rlsd", {"train": {"steps": 9}}), finished.path, resume=True)
    assert finished.metrics_file.read_bytes() == before


def test_two_processes_never_share_a_run_directory(tiny_config, tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    with open(path / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            train(tiny_config("grpo"), path)


def test_a_full_disk_is_one_sentence(tiny_config, tmp_path, monkeypatch):
    from rlsd_cli.training import trainer

    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer, "write_rollouts", no_space)
    with pytest.raises(UserError, match="disk is full"):
        train(tiny_config("grpo"), tmp_path / "run")


def test_numbers_that_are_none_stop_the_run(tiny_config, tmp_path):
    with pytest.raises(UserError, match="no finite probabilities left after step"):
        train(tiny_config("opsd", {"train": {"learning_rate": 1e30, "max_grad_norm": 1e30}}), tmp_path / "run")


def test_a_model_that_is_not_there_is_one_sentence(tiny_config, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        train(tiny_config("grpo", {"model": {"path": str(tmp_path / "none")}}), tmp_path / "run")


@pytest.mark.parametrize("key", ["loss", "grad_norm"])
def test_a_loss_that_is_no_number_names_arm_step_and_checkpoints(tmp_path, key):
    from rlsd_cli.training.callbacks import MetricsCallback
    from rlsd_cli.training.timer import StepTimer

    run = RunDir(tmp_path)
    callback = MetricsCallback(run, "opsd", 9, StepTimer(), lambda record: None)
    with pytest.raises(UserError, match=f"opsd: {key} is nan at step 3: there is no checkpoint yet"):
        callback._stop_on_bad_numbers({"step": 3, "loss": 1.0, "grad_norm": 1.0, key: float("nan")})


def test_a_tasks_own_reward_reaches_the_trainer(tiny_trainer):
    trainer = tiny_trainer("grpo")

    class Halves(type(trainer.reward.task)):
        def reward(self, completion, verdict):
            return 0.5

    trainer.reward.task = Halves()
    columns = {"prompts": ["q", "q"], "completion_ids": [[3], [4]], "answer": ["1", "1"], "prompt_id": ["a", "b"]}
    assert trainer.reward(completions=["answer 1", "answer 2"], **columns) == [0.5, 0.5]
    assert trainer.reward.record["correct"] == [True, False]
