"""Many processes: who writes, how the batch is shared out, where the weights lie (docs/gpu.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, TypeVar

from rlsd_cli.errors import UserError

Value = TypeVar("Value")

# How long a process waits for the others. torch's own 10 minutes on GPUs end a run whose first process reads 100 GB.
PATIENCE = timedelta(hours=2)


def rank() -> int:
    """Return the number of this process, from 0, as accelerate's and torch's launchers set it."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def sharding(accelerator: Any) -> Literal["none", "fsdp", "zero3"]:
    """Return how the trained weights are spread over the processes."""
    plugin = accelerator.state.deepspeed_plugin
    if plugin is not None and plugin.zero_stage == 3:
        return "zero3"
    return "fsdp" if getattr(accelerator.state, "fsdp_plugin", None) is not None else "none"


def on_main(function: Callable[[], Value]) -> Value:
    """Call ``function`` on the first process only, and return its result on all.

    A `UserError` ends every process: on the first it is raised, on the others it is a quiet exit,
    so that the sentence is printed once.

    Args:
        function: Returns something that can be pickled.
    """
    if world_size() == 1:
        return function()
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    # Joins the processes, where nothing has yet: whoever does it first decides how long all of them wait.
    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    told: list[Any] = [None, False]
    error = None
    if rank() == 0:
        try:
            told = [function(), True]
        except UserError as caught:
            error = caught
    broadcast_object_list(told, from_process=0)
    if error is not None:
        raise error
    if not told[1]:
        raise SystemExit(2)
    return told[0]


def on_any(flag: bool, device: Any) -> bool:
    """Return whether ``flag`` is set on any process, so that all of them do the same."""
    return votes(flag, device) > 0


def on_all(flag: bool, device: Any) -> bool:
    """Return whether ``flag`` is set on every process, so that all of them do the same."""
    return votes(flag, device) == world_size()


def votes(flag: bool, device: Any) -> int:
    """Return on how many processes ``flag`` is set; every process calls this."""
    if world_size() == 1:
        return int(flag)
    import torch
    import torch.distributed as dist

    count = torch.tensor(int(flag), device=device)
    dist.all_reduce(count)
    return int(count.item())
