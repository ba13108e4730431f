"""Controls of RLSD's evidence: what could stand in the teacher's place if its content did not matter, and the truth.

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


def disarranged(name: str, delta: Tensor, mask: Tensor, seed: int) -> Tensor:
    """Return the control ``permuted``, ``noise`` or ``flipped`` of Δ, and Δ itself under any other name.

    The draws have a generator of their own: they must not change which rollouts are sampled.
    """
    generator = torch.Generator().manual_seed(seed)
    if name == "permuted":
        return permuted(delta, mask, generator)
    if name == "noise":
        return noise(delta, mask, generator)
    return flipped(delta) if name == "flipped" else delta


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


def in_proportion(credit: Tensor, advantage: Tensor, mask: Tensor) -> Tensor:
    """Return the Δ whose weight is a token's credit over its completion's mean size of credit.

    w_t = sign(A)·credit_t / mean_t |credit_t|, and Δ_t = sign(A)·log w_t. Where a token's credit has not the sign of A
    no weight would be right; w is then 10⁻⁹, which RLSD's clip turns into 1 − ε_w. Where a completion has no credit at
    all, so that nothing in it is known to matter, Δ is 0.

    Args:
        credit: (B, T), such as the true advantages of `rlsd_cli.generation.continuations.resampled_credit`.
        advantage: (B,).
        mask: (B, T), 1 on completion tokens.
    """
    sign, credit = torch.sign(advantage).unsqueeze(1), credit.masked_fill(mask == 0, 0.0)
    size = credit.abs().sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
    weight = torch.where(size > 0, sign * credit / size.clamp(min=1e-12), 1.0)
    return (sign * weight.clamp(min=1e-9).log()).masked_fill(mask == 0, 0.0)


def surprisal(student_logps: Tensor, advantage: Tensor, mask: Tensor) -> Tensor:
    """Return the Δ whose weight is −log P_S(y_t) over its completion's mean: it knows the student, and no reference."""
    surprise = (-student_logps).detach() * torch.sign(advantage).unsqueeze(1)
    return in_proportion(surprise, advantage, mask)
