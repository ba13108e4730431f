"""The cosine between RLSD's and GRPO's gradients of a trained model, on batches like those of training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.objectives import group_advantage, privileged_gain, rlsd_advantage, sequence_mean
from rlsd_cli.statistics import Interval, t_interval


@dataclass(frozen=True)
class Rollouts:
    """A batch of B completions, groups side by side, with what both passes say of the sampled tokens.

    Attributes:
        student_logps: (B, T) log π(y_t | x, y_<t), with gradient.
        teacher_logps: (B, T) log π(y_t | x, r, y_<t).
        mask: (B, T), 1 on completion tokens.
        rewards: (B,).
        group_size: G.
    """

    student_logps: Tensor
    teacher_logps: Tensor
    mask: Tensor
    rewards: Tensor
    group_size: int


def batch_cosines(parameters: list[Any], rollouts: Rollouts, mixes: tuple[float, ...], epsilon_w: float) -> list[float]:
    """Return cos(RLSD, GRPO) of one batch for each λ; NaN where no group has an advantage.

    Args:
        parameters: The student's parameters, leaves of ``rollouts.student_logps``.
        rollouts: The batch.
        mixes: Values of λ.
        epsilon_w: ε_w.
    """
    advantage = group_advantage(rollouts.rewards, rollouts.group_size)
    gain = privileged_gain(rollouts.teacher_logps, rollouts.student_logps, rollouts.mask)

    def gradient(credit: Tensor) -> Tensor:
        surrogate = sequence_mean(credit * rollouts.student_logps, rollouts.mask)
        parts = torch.autograd.grad(surrogate, parameters, retain_graph=True)
        return torch.cat([part.flatten() for part in parts])

    plain = gradient(advantage.unsqueeze(1).expand_as(gain))
    cosines = []
    for mix in mixes:
        turned = gradient(rlsd_advantage(advantage, gain, mix, epsilon_w))
        cosines.append((turned @ plain / (turned.norm() * plain.norm())).item())
    return cosines


def over_batches(cosines: list[float]) -> Interval:
    """Return mean and 95 % interval over the batches that had an advantage; n = 0 where none had one."""
    known = [value for value in cosines if math.isfinite(value)]
    if not known:
        return Interval(math.nan, math.nan, math.nan, 0)
    return t_interval(known)
