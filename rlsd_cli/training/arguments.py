"""TRL's settings from ours."""

from __future__ import annotations

from typing import Any

import torch

from rlsd_cli.config.run import RolloutConfig
from rlsd_cli.config.shares import share_of_batch
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.distributed import PATIENCE, world_size


def shared_arguments(context: RunContext) -> dict[str, Any]:
    """Return the settings that every trainer takes, whatever its class."""
    config, train = context.config, context.config.train
    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(context.run_dir.checkpoints_dir),
        "max_steps": train.steps,
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": train.warmup_steps,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "seed": config.seed,
        "data_seed": config.seed,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": train.save_every,
        "report_to": config.log.report_to,
        "run_name": f"{config.name}-seed-{config.seed}",
        "project": config.log.project,
        "disable_tqdm": True,
        "use_cpu": not on_gpu,
        # The weights themselves are float32, or a step of 1e-6 would be lost in rounding (`models.trainable`).
        "bf16": config.model.dtype == "bfloat16",
        "gradient_checkpointing": train.gradient_checkpointing,
        "dataloader_pin_memory": on_gpu,
        "ddp_timeout": int(PATIENCE.total_seconds()),
    }


def rollout_arguments(context: RunContext, **overrides: Any) -> Any:
    """Return the GRPOConfig of an on-policy arm."""
    from trl import GRPOConfig

    train = context.config.train
    micro_batch, accumulation = share_of_batch(train, world_size())
    completion = train.max_completion_tokens or context.task.max_completion_tokens
    settings = {
        **shared_arguments(context),
        **vllm_arguments(context.config.rollout, context.model.config, completion),
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "num_generations": train.group_size,
        "max_completion_length": completion,
        "temperature": train.temperature,
        "top_p": context.config.rollout.top_p,
        "top_k": context.config.rollout.top_k,
        "min_p": context.config.rollout.min_p or None,
        "chat_template_kwargs": context.config.model.chat_template_kwargs or None,
        "epsilon": train.clip_low,
        "epsilon_high": train.clip_high,
        "loss_type": "grpo" if train.aggregation == "sequence" else "dapo",
        "beta": 0.0,
        # Two passes over the same tokens must agree: no arm may read dropout noise as evidence.
        "disable_dropout": True,
        # Every arm of a seed sees the same prompts at the same step.
        "shuffle_dataset": False,
        # TRL would gather the pictures for tables that are not printed, and wait for processes without any.
        "log_multimodal": False,
    }
    return GRPOConfig(**{**settings, **overrides})


def vllm_arguments(rollout: RolloutConfig, model: Any, completion_tokens: int) -> dict[str, Any]:
    """Return TRL's settings for rollouts by vLLM; none where transformers makes them.

    ``correction`` multiplies every arm's loss by π_trainer/π_vLLM of the sampled tokens, bounded; TRL applies
    it to the policy loss, and our distilling arms apply the same ratio to their divergence.

    Args:
        rollout: The section of the configuration.
        model: The model's transformers configuration.
        completion_tokens: Budget of a completion.
    """
    if rollout.engine != "vllm":
        return {}
    settings: dict[str, Any] = {
        "use_vllm": True,
        "vllm_mode": rollout.vllm_mode,
        "vllm_importance_sampling_correction": rollout.correction != "none",
        "vllm_importance_sampling_clip_max": rollout.correction_max,
    }
    if rollout.correction != "none":
        settings["vllm_importance_sampling_mode"] = rollout.correction
    image = getattr(model, "image_token_id", None)
    more: dict[str, Any] = {}
    if image is not None:  # a sampled image token would lack its image; TRL suppresses it for transformers only
        more["logit_bias"] = {image: -100.0}
    if rollout.presence_penalty:
        more["presence_penalty"] = rollout.presence_penalty
    if more:
        settings["generation_kwargs"] = more
    if rollout.vllm_mode == "colocate":
        # Without a bound vLLM keeps room for one sequence of the model's whole context: 36 GiB for Qwen3-VL-8B.
        own = getattr(model.get_text_config(), "max_position_embeddings", None)
        context = rollout.vllm_context(completion_tokens)
        return settings | {
            "vllm_gpu_memory_utilization": rollout.vllm_gpu_memory,
            "vllm_tensor_parallel_size": rollout.vllm_tensor_parallel,
            "vllm_max_model_length": min(context, own) if own else context,
            "vllm_enable_sleep_mode": rollout.vllm_sleep,
        }
    return settings | {
        "vllm_server_host": rollout.vllm_server_host,
        "vllm_server_port": rollout.vllm_server_port,
        "vllm_group_port": rollout.vllm_group_port,
    }
