"""Placebo evidence for RLSD: what could stand in the teacher's place if its content did not matter.

Each takes the privileged gain Δ (B, T) of eq. 13, 0 outside ``mask`` (B, T), and returns another; in nats. Two
further controls change what the teacher sees, not Δ: a wrong reference, and another question's (views of the arm).
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlsd_cli.objectives import evidence_weight


def permuted(delta: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Return Δ with the values of each completion in random order over its tokens: same values, no place."""
    keys = torch.rand(delta.shape, generator=generator).to(delta.device)
    keys = keys.masked_fill(mask == 0, 2.0)  # padding sorts last, and each row has as many places as values
    places = (mask == 0).to(torch.int8).argsort(dim=1, stable=True)
    return torch.zeros_like(delta).scatter(1, places, delta.gather(1, keys.argsort(dim=1))) * (mask != 0)


def noise(delta: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Return normal noise with the mean and the standard deviation of Δ over all tokens; the weights are log-normal."""
    kept = delta[mask.bool()]
    if kept.numel() < 2:
        return delta
    drawn = torch.randn(delta.shape, generator=generator).to(delta)
    return (kept.mean() + kept.std() * drawn).masked_fill(mask == 0, 0.0)


def flipped(delta: Tensor) -> Tensor:
    """Return −Δ: what the teacher likes counts as what it dislikes."""
    return -delta


def sign_mean(delta: Tensor, mask: Tensor, advantage: Tensor, epsilon_w: float) -> Tensor:
    """Return the Δ whose weight is, for every token, the mean clipped weight of its side: A > 0, or A < 0.

    It keeps how much RLSD scales right and wrong rollouts, and drops all that it says of tokens.

    Args:
        delta: (B, T).
        mask: (B, T).
        advantage: (B,).
        epsilon_w: As in `rlsd_cli.objectives.evidence_weight`.
    """
    weight, result = evidence_weight(advantage, delta, epsilon_w), torch.zeros_like(delta)
    for sign in (1, -1):
        side = mask.bool() & (torch.sign(advantage) == sign).unsqueeze(1)
        if side.any():
            result = torch.where(side, sign * weight[side].mean().clamp(min=1e-12).log(), result)
    return result


def surprisal(student_logps: Tensor, mask: Tensor) -> Tensor:
    """Return −log P_S(y_t): evidence that knows the student only, no reference. Never negative."""
    return (-student_logps).detach().masked_fill(mask == 0, 0.0)
