"""How the batch of a step is shared out between processes and forward passes."""

from __future__ import annotations

import math

from rlsd_cli.config.run import TrainConfig
from rlsd_cli.errors import UserError


def share_of_batch(train: TrainConfig, processes: int) -> tuple[int, int]:
    """Return (completions per forward pass, forward passes per step) of one process.

    The step's batch is the configuration's, whatever the number of processes.

    Raises:
        UserError: The batch can't be shared out evenly.
    """
    batch = train.prompts_per_step * train.group_size
    if batch % processes:
        raise UserError(
            f"{processes} processes can't share {batch} completions a step evenly: make train.prompts_per_step x "
            "train.group_size a multiple of the number of processes."
        )
    share = batch // processes
    micro_batch = train.micro_batch or share
    if share % micro_batch:
        raise UserError(
            f"train.micro_batch={micro_batch} does not divide the {share} completions that each of {processes} "
            f"processes has a step: give a divisor of {share}."
        )
    return micro_batch, share // micro_batch


def share_of_prompts(train: TrainConfig, processes: int) -> tuple[int, int]:
    """Return (prompts per forward pass, forward passes per step) of one process, for an arm without rollouts.

    A pass has as many prompts as the process's share and ``train.micro_batch`` both allow.

    Raises:
        UserError: The prompts can't be shared out evenly.
    """
    if train.prompts_per_step % processes:
        raise UserError(
            f"{processes} processes can't share {train.prompts_per_step} prompts a step evenly: make "
            "train.prompts_per_step a multiple of the number of processes."
        )
    share = train.prompts_per_step // processes
    micro_batch = math.gcd(share, train.micro_batch) if train.micro_batch else share
    return micro_batch, share // micro_batch
