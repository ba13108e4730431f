"""Rollouts by vLLM, report services: the settings get through, and what is missing is told before a model is loaded."""

import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from trainers import one_batch, reward_even_length
from trl import GRPOConfig

from rlsd_cli.arms import load_arm
from rlsd_cli.config.run import RolloutConfig, TrainConfig
from rlsd_cli.errors import UserError
from rlsd_cli.training import preflight
from rlsd_cli.training.arguments import vllm_arguments
from rlsd_cli.training.distributed import share_of_batch, share_of_prompts
from rlsd_cli.training.run import train

PRESETS = Path(__file__).parents[2] / "experiments" / "accelerate"


def test_without_vllm_nothing_is_said_to_trl():
    assert vllm_arguments(RolloutConfig()) == {}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"vllm_gpu_memory": 0.4, "vllm_tensor_parallel": 2, "vllm_max_length": 8192, "vllm_sleep": True},
            {
                "vllm_mode": "colocate",
                "vllm_gpu_memory_utilization": 0.4,
                "vllm_tensor_parallel_size": 2,
                "vllm_max_model_length": 8192,
                "vllm_enable_sleep_mode": True,
                "vllm_importance_sampling_correction": True,
                "vllm_importance_sampling_mode": "token_truncate",
                "vllm_importance_sampling_clip_max": 3.0,
            },
        ),
        (
            {"vllm_mode": "server", "vllm_server_host": "node7", "vllm_server_port": 8001, "correction": "none"},
            {
                "vllm_mode": "server",
                "vllm_server_host": "node7",
                "vllm_server_port": 8001,
                "vllm_group_port": 51216,
                "vllm_importance_sampling_correction": False,
            },
        ),
    ],
)
def test_vllm_settings_reach_trls_configuration(settings, expected, tmp_path):
    arguments = vllm_arguments(RolloutConfig(engine="vllm", **settings))
    built = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **arguments)
    assert built.use_vllm
    assert {name: getattr(built, name) for name in expected} == expected


def test_vllm_that_is_not_installed_is_told_before_the_model_is_loaded(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "installed", lambda package: False)
    monkeypatch.setattr("rlsd_cli.models.load.load_model", lambda config: pytest.fail("loaded"))
    with pytest.raises(UserError, match="pip install 'rlsd-cli\\[vllm\\]'"):
        train(tiny_config("rlsd", {"rollout": {"engine": "vllm"}}), tmp_path / "run")


def test_vllm_without_a_gpu_is_told(tiny_config, monkeypatch):
    monkeypatch.setattr(preflight, "installed", lambda package: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="needs a GPU"):
        preflight.check_machine(tiny_config("rlsd", {"rollout": {"engine": "vllm"}}), load_arm("rlsd"))


def test_vllms_correction_weighs_a_distilling_arms_divergence_as_it_weighs_the_policy_loss(tiny_trainer):
    trainer = tiny_trainer("opsd")
    _, batch = one_batch(trainer)
    plain = trainer._compute_loss(trainer.model, batch)
    halved = dict(batch, importance_sampling_ratio=torch.full(batch["completion_ids"].shape, 0.5))
    assert plain > 0
    assert trainer._compute_loss(trainer.model, halved).item() == pytest.approx(0.5 * plain.item(), rel=1e-6)


@pytest.mark.parametrize("service", ["trackio", "wandb", "tensorboard"])
def test_a_report_service_that_is_not_installed_is_told(tiny_config, tmp_path, monkeypatch, service):
    monkeypatch.setattr(preflight, "installed", lambda package: False)
    with pytest.raises(UserError, match=f"pip install {service}"):
        train(tiny_config("grpo", {"log": {"report_to": service}}), tmp_path / "run")


def test_a_report_service_gets_metrics_probes_and_the_configuration(tiny_config, tmp_path, monkeypatch):
    sent, run = [], {}
    context = types.SimpleNamespace(current_space_id=types.SimpleNamespace(get=lambda: None))
    fake = types.SimpleNamespace(
        config=Settings(),
        context_vars=context,
        init=lambda **given: run.update(given),
        log=lambda values, **given: sent.append(values),
        finish=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "trackio", fake)
    monkeypatch.setattr("transformers.integrations.integration_utils.is_trackio_available", lambda: True)
    monkeypatch.setattr("trl.extras.profiling.is_trackio_available", lambda: False)  # it took its own at import
    monkeypatch.setattr(preflight, "installed", lambda package: True)
    config = tiny_config("rlsd", {"log": {"report_to": "trackio", "project": "mine"}, "label": "variant"})
    train(config, tmp_path / "run")
    assert (run["project"], run["name"]) == ("mine", "variant-seed-0")
    assert fake.config["rlsd"]["method"] == "rlsd"
    names = {name.split("/", 1)[1] if name.startswith("train/") else name for values in sent for name in values}
    assert {"loss", "reward", "rlsd/weight_mean", "probe/accuracy", "leakage/rate"} <= names


class Settings(dict):
    def update(self, values, allow_val_change=False):
        super().update(values)


@pytest.mark.parametrize(
    ("processes", "micro_batch", "expected"), [(1, None, (32, 1)), (2, None, (16, 1)), (2, 4, (4, 4)), (4, 8, (8, 1))]
)
def test_the_batch_is_the_same_on_any_number_of_processes(processes, micro_batch, expected):
    share = share_of_batch(TrainConfig(prompts_per_step=8, group_size=4, micro_batch=micro_batch), processes)
    assert share == expected
    assert processes * share[0] * share[1] == 32


def test_a_batch_that_does_not_divide_is_told():
    with pytest.raises(UserError, match="3 processes can't share 32 completions"):
        share_of_batch(TrainConfig(prompts_per_step=8, group_size=4), 3)
    with pytest.raises(UserError, match=r"train\.micro_batch=16 does not divide the 8"):
        share_of_batch(TrainConfig(prompts_per_step=8, group_size=4, micro_batch=16), 4)
    with pytest.raises(UserError, match="3 processes can't share 8 prompts"):
        share_of_prompts(TrainConfig(prompts_per_step=8), 3)
    assert share_of_prompts(TrainConfig(prompts_per_step=8, micro_batch=6), 2) == (2, 2)


def test_distilling_arms_are_refused_under_zero3(tiny_config, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    preflight.check_machine(tiny_config("rlsd"), load_arm("rlsd"))
    with pytest.raises(UserError, match="fsdp2"):
        preflight.check_machine(tiny_config("opsd"), load_arm("opsd"))


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero3"])
def test_accelerate_reads_the_presets(name):
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(PRESETS / f"{name}.yaml"))
    kind = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}[name]
    assert str(loaded.distributed_type).endswith(kind)
    assert set(yaml.safe_load((PRESETS / f"{name}.yaml").read_text())) <= set(vars(loaded))


def test_accelerates_folder_is_no_preset():
    told = subprocess.run(
        [sys.executable, "-m", "rlsd_cli", "train", "--preset", "accelerat"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "accelerate" not in told.stderr


def test_gradient_checkpointing_changes_no_gradient(tiny_trainer):
    norms = []
    for flag in (False, True):
        settings = {"train": {"gradient_checkpointing": flag}, "teacher": {"reference": "solution"}}
        trainer = reward_even_length(tiny_trainer("rlsd", settings, folder=str(flag)))
        trainer.train()
        norms.append([line["grad_norm"] for line in trainer.state.log_history if "grad_norm" in line])
    assert norms[1] == pytest.approx(norms[0], rel=1e-4)
