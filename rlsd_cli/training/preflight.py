"""What a run needs of the machine, asked before a model is loaded or downloaded."""

from __future__ import annotations

import importlib.util
import os

from rlsd_cli.arms import Arm
from rlsd_cli.config.run import RunConfig
from rlsd_cli.errors import UserError
from rlsd_cli.memory.jobs import check_memory
from rlsd_cli.training.distributed import share_of_batch, share_of_prompts, world_size


def installed(package: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def check_machine(config: RunConfig, arm: Arm) -> None:
    """Check what the configuration asks for against what is here.

    Raises:
        UserError: A package or a GPU is missing, the batch can't be shared out, or the model does not fit.
    """
    check_packages(config)
    if arm.data == "on-policy":
        share_of_batch(config.train, world_size())
        check_vllm(config)
    else:
        share_of_prompts(config.train, world_size())
    check_zero3(arm)
    check_memory(config, arm, world_size())


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
        raise UserError("rollout.engine=vllm needs a GPU, and none is visible: set rollout.engine=transformers.")
    if config.rollout.vllm_mode == "colocate" and world_size() % config.rollout.vllm_tensor_parallel:
        raise UserError(
            f"rollout.vllm_tensor_parallel={config.rollout.vllm_tensor_parallel} does not divide the {world_size()} "
            "processes: give a divisor."
        )


def check_zero3(arm: Arm) -> None:
    """Refuse the arms whose divergence reads the output layer outside the model's forward pass, under ZeRO-3.

    Raises:
        UserError: The arm is one of them.
    """
    asked = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
    zero3 = asked and os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3"
    if zero3 and arm.divergence is not None:
        raise UserError(
            f"{arm.name} can't be trained under DeepSpeed ZeRO-3: use experiments/accelerate/fsdp2.yaml, "
            "which shards the weights as well."
        )
