"""TRL's settings from ours."""

from __future__ import annotations

from typing import Any

import torch

from rlsd_cli.training.context import RunContext


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
        "save_total_limit": train.keep_checkpoints,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not on_gpu,
        "bf16": on_gpu and config.model.dtype == "bfloat16",
        "gradient_checkpointing": train.gradient_checkpointing,
        "dataloader_pin_memory": on_gpu,
    }


def rollout_arguments(context: RunContext, **overrides: Any) -> Any:
    """Return the GRPOConfig of an on-policy arm."""
    from trl import GRPOConfig

    train = context.config.train
    batch = train.prompts_per_step * train.group_size
    micro_batch = train.micro_batch or batch
    settings = {
        **shared_arguments(context),
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": batch // micro_batch,
        "num_generations": train.group_size,
        "max_completion_length": train.max_completion_tokens or context.task.max_completion_tokens,
        "temperature": train.temperature,
        "epsilon": train.clip_low,
        "epsilon_high": train.clip_high,
        "loss_type": "grpo" if train.aggregation == "sequence" else "dapo",
        "beta": 0.0,
        # Two passes over the same tokens must agree: no arm may read dropout noise as evidence.
        "disable_dropout": True,
        # Every arm of a seed sees the same prompts at the same step.
        "shuffle_dataset": False,
    }
    return GRPOConfig(**{**settings, **overrides})
