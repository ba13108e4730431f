"""Rollouts by vLLM, report services: the settings get through, and what is missing is told before a model is loaded."""

import os
import subprocess
import sys
import threading
import types
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import yaml
from trainers import one_batch, reward_even_length
from transformers import Qwen3Config, Qwen3VLConfig
from trl import GRPOConfig

from rlsd_cli.arms import ARMS, load_arm
from rlsd_cli.config.run import ModelConfig, RolloutConfig, TrainConfig
from rlsd_cli.config.shares import share_of_batch, share_of_prompts
from rlsd_cli.errors import UserError
from rlsd_cli.models.load import load_model
from rlsd_cli.runs.checkpoints import is_complete
from rlsd_cli.training import checkpointing, preflight
from rlsd_cli.training.arguments import vllm_arguments
from rlsd_cli.training.run import train

PRESETS = Path(__file__).parents[2] / "experiments" / "accelerate"


def test_without_vllm_nothing_is_said_to_trl():
    assert vllm_arguments(RolloutConfig(), Qwen3Config(), 100) == {}


def test_vllm_keeps_room_for_the_longest_prompt_and_completion_and_no_more():
    def length(config, **settings):
        return vllm_arguments(RolloutConfig(engine="vllm", **settings), config, 100)["vllm_max_model_length"]

    # A model of 262,144 tokens, as Qwen3-VL: vLLM would keep 36 GiB for one such sequence, and not start.
    assert length(Qwen3Config(max_position_embeddings=262_144)) == 4096 + 100
    assert length(Qwen3Config(max_position_embeddings=262_144), max_prompt_tokens=300) == 400
    assert length(Qwen3Config(max_position_embeddings=262_144), vllm_max_length=9000) == 9000
    assert length(Qwen3Config(max_position_embeddings=128)) == 128


def test_vllm_samples_no_image_tokens():
    def settings(config):
        return vllm_arguments(RolloutConfig(engine="vllm"), config, 100)

    assert settings(Qwen3VLConfig(image_token_id=7))["generation_kwargs"] == {"logit_bias": {7: -100.0}}
    assert "generation_kwargs" not in settings(Qwen3Config())


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
    arguments = vllm_arguments(RolloutConfig(engine="vllm", **settings), Qwen3Config(), 100)
    built = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **arguments)
    assert built.use_vllm
    assert {name: getattr(built, name) for name in expected} == expected


def test_vllm_that_is_not_installed_is_told_before_the_model_is_loaded(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "installed", lambda package: False)
    monkeypatch.setattr("rlsd_cli.models.load.load_model", lambda config: pytest.fail("loaded"))
    with pytest.raises(UserError, match="pip install 'rlsd-cli\\[vllm\\]'"):
        train(tiny_config("rlsd", {"rollout": {"engine": "vllm"}}), tmp_path / "run")


@pytest.mark.parametrize(
    ("for_cpus", "settings", "told"),
    [
        (False, {}, "needs a GPU"),
        (True, {}, None),
        (True, {"vllm_mode": "server"}, "vllm_mode=server"),
        (True, {"vllm_sleep": True}, "vllm_sleep=true"),
        (True, {"heads": 8}, "no attention for heads of 4 numbers"),
    ],
)
def test_vllm_without_a_gpu_is_told_unless_it_is_built_for_cpus(
    tiny_config, tmp_path, monkeypatch, for_cpus, settings, told
):
    platforms = types.SimpleNamespace(current_platform=types.SimpleNamespace(is_cpu=lambda: for_cpus))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)
    monkeypatch.setitem(sys.modules, "vllm", types.SimpleNamespace(platforms=platforms))
    monkeypatch.setattr(preflight, "installed", lambda package: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = tmp_path / "model"
    Qwen3Config(hidden_size=32, num_attention_heads=8, head_dim=4 if settings.pop("heads", 0) else 32).save_pretrained(
        path
    )
    config = tiny_config("rlsd", {"model": {"path": str(path)}, "rollout": {"engine": "vllm", **settings}})
    with pytest.raises(UserError, match=told) if told else nullcontext():
        preflight.check_machine(config, load_arm("rlsd"))


def test_one_process_that_sees_many_gpus_is_told_before_the_model_is_loaded(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr("rlsd_cli.models.load.load_model", lambda config: pytest.fail("loaded"))
    with pytest.raises(UserError, match=r"one process sees 8 GPUs .* CUDA_VISIBLE_DEVICES=0"):
        train(tiny_config("grpo"), tmp_path / "run")
    monkeypatch.setenv("WORLD_SIZE", "8")
    preflight.check_launch(tiny_config("grpo"))


@pytest.mark.parametrize(("told", "dtype"), [("bf16", "float32"), ("fp16", "bfloat16"), ("fp16", "float32")])
def test_a_launchers_precision_that_is_not_the_models_is_told(tiny_config, monkeypatch, told, dtype):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", told)
    with pytest.raises(UserError, match=f"mixed_precision {told}, and model.dtype is {dtype}"):
        preflight.check_machine(tiny_config("grpo", {"model": {"dtype": dtype}}), load_arm("grpo"))


def test_the_presets_leave_the_precision_to_the_model(tiny_config, monkeypatch):
    for name in ("ddp", "fsdp2", "zero3"):
        told = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())["mixed_precision"]
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", told)
        for dtype in ("float32", "bfloat16"):
            preflight.check_launch(tiny_config("grpo", {"model": {"dtype": dtype}}))


def test_attention_is_chosen_by_the_configuration(tiny_model):
    def of(**settings):
        return load_model(ModelConfig(path=str(tiny_model), **settings)).config._attn_implementation

    assert of(attention="eager") == "eager"
    assert of() == "sdpa"


def test_a_checkpoints_digests_hold_no_other_process_up(tmp_path, monkeypatch):
    trained, read = tmp_path / "checkpoint-2", threading.Event()
    for step in (1, 2):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "weights").write_text("1")
    real = checkpointing.mark_complete
    monkeypatch.setattr(checkpointing, "mark_complete", lambda directory: read.wait(60) and real(directory))
    monkeypatch.setattr(checkpointing, "world_size", lambda: 2)
    trainer = types.SimpleNamespace(accelerator=types.SimpleNamespace(wait_for_everyone=lambda: None))
    callback = checkpointing.CheckpointCallback(trainer, limit=1)
    arguments = types.SimpleNamespace(output_dir=str(tmp_path), should_save=True, save_steps=2)
    callback.on_save(arguments, types.SimpleNamespace(global_step=2), None)
    assert not is_complete(trained), "it was marked before its files were read"
    assert (tmp_path / "checkpoint-1").is_dir(), "the old one is gone before the new one is marked"
    read.set()
    callback.on_step_end(arguments, types.SimpleNamespace(global_step=4), None)
    assert is_complete(trained)
    assert not (tmp_path / "checkpoint-1").exists()
    monkeypatch.setattr(checkpointing, "mark_complete", lambda directory: os.remove(directory / "missing"))
    callback.on_save(arguments, types.SimpleNamespace(global_step=2), None)
    with pytest.raises(FileNotFoundError):
        callback.on_train_end(arguments, None, None)


def test_a_run_that_failed_while_it_was_built_can_be_started_again(tiny_config, tmp_path, monkeypatch):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    train(tiny_config("sft", {"train": {"steps": 1}}), tmp_path / "run")


def test_image_tokens_are_given_to_vllm_once_for_each_picture(monkeypatch):
    module = types.ModuleType("trl.generation.vllm_generation")
    module.VLLMGeneration = object
    monkeypatch.setitem(sys.modules, "trl.generation.vllm_generation", module)
    from rlsd_cli.training.vllm_rollouts import once

    assert once([1, 9, 9, 9, 2, 3, 3, 1, 9, 2], 9) == [1, 9, 2, 3, 3, 1, 9, 2]
    assert once([1, 9, 9], None) == [1, 9, 9]


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


@pytest.mark.parametrize("name", ARMS)
def test_distilling_arms_are_refused_under_zero3(tiny_config, monkeypatch, name):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    distils = name in {"opd", "opsd", "sdpo", "grpo_opsd", "srpo", "sdpg"}
    with pytest.raises(UserError, match=r"ZeRO-3: use .*fsdp2") if distils else nullcontext():
        preflight.check_machine(tiny_config(name), load_arm(name))


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
