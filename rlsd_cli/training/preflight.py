"""What a run needs of the machine, asked before a model is loaded or downloaded."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from rlsd_cli.arms import Arm
from rlsd_cli.config.run import RunConfig
from rlsd_cli.config.shares import share_of_batch, share_of_prompts
from rlsd_cli.errors import UserError
from rlsd_cli.memory.jobs import memory_warning
from rlsd_cli.memory.shapes import configuration_of
from rlsd_cli.models.load import resolve
from rlsd_cli.training.distributed import world_size

LEAST_HEAD = 32  # of vLLM's kernels for CPUs (0.31)


def installed(package: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def check_machine(config: RunConfig, arm: Arm) -> str:
    """Check what the configuration asks for against what is here.

    Returns:
        A warning, where the model seems too large for the memory here; else ''.

    Raises:
        UserError: A package or a GPU is missing, the batch can't be shared out, or the launcher contradicts the
            configuration.
    """
    check_packages(config)
    if arm.data == "on-policy":
        share_of_batch(config.train, world_size())
        check_vllm(config)
    else:
        share_of_prompts(config.train, world_size())
    check_launch(config)
    check_zero3(arm)
    return memory_warning(config, arm, world_size())


def check_packages(config: RunConfig) -> None:
    """Check the optional packages.

    Raises:
        UserError: One is missing.
    """
    service = config.log.report_to
    packages = {"tensorboard": ("tensorboard", "tensorboardX")}.get(service, (service,))
    if service != "none" and not any(installed(package) for package in packages):
        raise UserError(f"log.report_to={service} needs the package {service}: pip install {service}.")
    if config.train.lora_rank is not None and not installed("peft"):
        raise UserError("train.lora_rank needs the package peft: pip install 'rlsd-cli[peft]'.")


def check_vllm(config: RunConfig) -> None:
    """Check that vLLM can make the rollouts, where it is asked to.

    Raises:
        UserError: vLLM or a GPU is missing, or the engine's GPUs don't divide the processes.
    """
    if config.rollout.engine != "vllm":
        return
    if not installed("vllm"):
        raise UserError(
            "rollout.engine=vllm needs the package vllm: pip install 'rlsd-cli[vllm]', "
            "or set rollout.engine=transformers."
        )
    import torch

    if not torch.cuda.is_available():
        check_vllm_without_gpu(config)
    if config.rollout.vllm_mode == "colocate" and world_size() % config.rollout.vllm_tensor_parallel:
        raise UserError(
            f"rollout.vllm_tensor_parallel={config.rollout.vllm_tensor_parallel} does not divide the {world_size()} "
            "processes: give a divisor."
        )


def check_vllm_without_gpu(config: RunConfig) -> None:
    """Check for a build of vLLM that samples on the CPU, and for what it can't do.

    Raises:
        UserError: There is none, or more is asked of it.
    """
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        raise UserError("rollout.engine=vllm needs a GPU, and none is visible: set rollout.engine=transformers.")
    if config.rollout.vllm_mode == "server":
        raise UserError("rollout.vllm_mode=server sends weights between GPUs, and none is visible: set colocate.")
    if config.rollout.vllm_sleep:
        raise UserError("rollout.vllm_sleep=true frees a GPU's memory, and none is visible: leave it out.")
    if (Path(resolve(config.model.path)) / "config.json").is_file():
        text = configuration_of(config.model.path).get_text_config()
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        if width < LEAST_HEAD:
            raise UserError(
                f"vLLM on a CPU has no attention for heads of {width} numbers, as '{config.model.path}' has them: use "
                f"a model with heads of {LEAST_HEAD} or more (as the testbed's bases are), or set "
                "rollout.engine=transformers."
            )


def check_launch(config: RunConfig) -> None:
    """Check what the launcher has decided: the processes and the precision of their passes.

    Raises:
        UserError: One process has several GPUs, or the launcher's precision is not the configuration's.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 1
    if world_size() == 1 and count > 1:
        raise UserError(
            f"one process sees {count} GPUs and would use one: start one process for each, `accelerate launch "
            f"--config_file experiments/accelerate/ddp.yaml --num_processes {count} -m rlsd_cli train …`, "
            "or show it one with CUDA_VISIBLE_DEVICES=0."
        )
    told = os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    ours = {"float32": "no", "bfloat16": "bf16"}[config.model.dtype]
    if told not in ("no", ours):
        raise UserError(
            f"accelerate was told mixed_precision {told}, and model.dtype is {config.model.dtype}: write "
            "mixed_precision: 'no' into accelerate's file, for model.dtype decides."
        )


def check_zero3(arm: Arm) -> None:
    """Refuse the arms that ZeRO-3 can't shard, where the launcher asks for it.

    Raises:
        UserError: The arm is one of them.
    """
    asked = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
    if asked and os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3":
        refuse_zero3(arm)


def refuse_zero3(arm: Arm) -> None:
    """Refuse the arms whose divergence reads the output layer outside the model's forward pass.

    Raises:
        UserError: The arm is one of them.
    """
    if arm.divergence is not None:
        raise UserError(
            f"{arm.name} can't be trained under DeepSpeed ZeRO-3: use experiments/accelerate/fsdp2.yaml, "
            "which shards the weights as well."
        )
