"""From a run's configuration to a job whose memory can be worked out; and whether it fits on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from rlsd_cli.arms import Arm
from rlsd_cli.config.run import RunConfig
from rlsd_cli.memory.memory import GIB, Job, Sharding, static_bytes
from rlsd_cli.memory.shapes import KNOWN, Shape, shape_of

DEFAULT_COMPLETION_TOKENS = 1024


def teachers(config: RunConfig, arm: Arm) -> tuple[int, Shape | None]:
    """Return (copies of the policy that are held beside it as teachers, the shape of another model that is held).

    Raises:
        UserError: The external teacher's size is not known.
    """
    options = arm.options.model_validate(config.objective)
    weights = {view.weights for view in arm.views_of(options).values()}
    external = shape_of(config.teacher.model) if "external" in weights and config.teacher.model else None
    if config.train.lora_rank is not None:  # the teachers are the policy with another adapter
        return 0, external
    own = {config.teacher.source if each == "configured" else each for each in weights} - {"online", "external"}
    return len(own), external


def patches_of(config: RunConfig, shape: Shape) -> int:
    """Return the patches of a question's picture of the largest size that is allowed; 0 where questions are text."""
    if config.task.name != "dataset" or shape.tower is None or config.task.data.max_pixels is None:
        return 0
    return config.task.data.max_pixels // shape.tower.patch_pixels


def job_of(
    config: RunConfig,
    arm: Arm,
    shape: Shape,
    *,
    gpus: int,
    sharding: Sharding,
    gpu_bytes: int,
    prompt_tokens: int,
) -> Job:
    """Return the job that a configuration means on some GPUs.

    Raises:
        UserError: The batch can't be shared out over the GPUs.
    """
    from rlsd_cli.config.shares import share_of_batch, share_of_prompts

    train, rollout = config.train, config.rollout
    samples = arm.data == "on-policy"
    micro_batch, passes = (share_of_batch if samples else share_of_prompts)(train, gpus)
    task = config.task
    by_task = {"dataset": task.data.max_completion_tokens, "reasoning_gym": task.gym.max_completion_tokens}
    completion = train.max_completion_tokens or by_task.get(task.name, DEFAULT_COMPLETION_TOKENS)
    copies, external = teachers(config, arm)
    colocated = samples and rollout.engine == "vllm" and rollout.vllm_mode == "colocate"
    return Job(
        shape=shape,
        gpus=gpus,
        sharding=sharding,
        bfloat16=config.model.dtype == "bfloat16",
        lora_rank=train.lora_rank,
        copies=copies,
        external=external,
        completions=micro_batch * passes * gpus,
        micro_batch=micro_batch,
        tokens=prompt_tokens + completion,
        context=rollout.vllm_context(completion),
        patches=patches_of(config, shape),
        vllm_sleeps=colocated and rollout.vllm_sleep,
        checkpointing=train.gradient_checkpointing,
        vllm_share=rollout.vllm_gpu_memory if colocated else 0.0,
        rollouts_elsewhere=not samples or (rollout.engine == "vllm" and not colocated),
        gpu_bytes=gpu_bytes,
        tensor_parallel=rollout.vllm_tensor_parallel,
    )


def available_bytes() -> int:
    """Return the free memory that training can take here: of this process's GPU, or else of the machine."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return torch.cuda.mem_get_info(int(os.environ.get("LOCAL_RANK", "0")))[0]
    free = psutil.virtual_memory().available
    try:  # a container's own limit
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        return min(free, int(limit) - used) if limit.isdigit() else free
    except (OSError, ValueError):
        return free


def sharding_here() -> Sharding:
    """Return the sharding that accelerate's launcher has asked for."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        return "fsdp2"
    deepspeed = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
    return "zero3" if deepspeed and os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3" else "ddp"


def memory_warning(config: RunConfig, arm: Arm, processes: int) -> str:
    """Return a warning where what training holds throughout seems too much for the memory here, else ''.

    The sum was never held against a measurement, so it stops nobody. The batch is left out: how much a step needs
    depends on lengths that only the run will show. Of a model whose size can't be told without downloading it,
    nothing is said.
    """
    from rlsd_cli.models.load import resolve

    path = config.model.path
    if path not in KNOWN and not (Path(resolve(path)) / "config.json").is_file():
        return ""
    if config.teacher.model and config.teacher.model not in KNOWN and not Path(resolve(config.teacher.model)).is_dir():
        return ""
    shape, free = shape_of(path), available_bytes()
    job = job_of(config, arm, shape, gpus=processes, sharding=sharding_here(), gpu_bytes=free, prompt_tokens=0)
    need = static_bytes(job)
    if need <= free:
        return ""
    return (
        f"'{path}' seems too large here: by our sum, which no GPU has confirmed, its {shape.parameters / 1e9:.2f}e9 "
        f"parameters need {need / GIB:.1f} GiB for weights, gradients, optimiser and teacher, and {free / GIB:.1f} GiB "
        f"is free. If it fails: `rlsd plan --model {path}`, or train.lora_rank=16."
    )
