"""Credit assignment: the equations of RLSD and its ablations as pure functions of tensors.

Shapes: B completions, T completion tokens (padding included), G group size.
Log-probabilities are in nats. Equation numbers are those of arXiv 2604.03128.
"""

from __future__ import annotations

import torch
from torch import Tensor


def group_advantage(rewards: Tensor, group_size: int, epsilon: float = 1e-4) -> Tensor:
    """Return GRPO's group-relative advantage, eq. 1: A_i = (R_i − μ_G) / (σ_G + ε).

    σ is the unbiased standard deviation, and ε is TRL's, so that the probe's credit and
    the trainer's advantages agree.

    Args:
        rewards: (B,), the completions of a group side by side.
        group_size: G; must divide B. A group of one has advantage 0.
        epsilon: ε, added to σ.

    Returns:
        (B,) advantages; 0 in groups whose rewards are all equal.
    """
    grouped = rewards.view(-1, group_size)
    centred = grouped - grouped.mean(dim=1, keepdim=True)
    if group_size == 1:
        return torch.zeros_like(rewards)
    return (centred / (grouped.std(dim=1, keepdim=True) + epsilon)).view(-1)


def privileged_gain(teacher_logps: Tensor, student_logps: Tensor, mask: Tensor) -> Tensor:
    """Return eq. 13: Δ_t = sg(log P_T(y_t) − log P_S(y_t)), 0 on padding.

    Args:
        teacher_logps: (B, T) log-probs of the sampled tokens given x, r and y_<t.
        student_logps: (B, T) log-probs of the sampled tokens given x and y_<t.
        mask: (B, T), 1 on completion tokens.

    Returns:
        (B, T) without gradient.
    """
    return (teacher_logps - student_logps).detach().masked_fill(mask == 0, 0.0)


def evidence_weight(advantage: Tensor, delta: Tensor, epsilon_w: float) -> Tensor:
    """Return eqs. 14 and 15: clip(w_t, 1−ε_w, 1+ε_w) with w_t = exp(sign(A)·Δ_t).

    The clip is applied to the exponent (exp is monotone), so no Δ can overflow.

    Args:
        advantage: (B,) sequence advantages A.
        delta: (B, T) privileged gain.
        epsilon_w: Half-width of the clip range, in [0, 1).

    Returns:
        (B, T) weights, always positive; 1 where A = 0.
    """
    # Comparing w_t with the bounds happens in the exponent: a Δ of 1e4 must give the bound, not inf.
    low, high = torch.log1p(torch.tensor([-epsilon_w, epsilon_w], dtype=torch.float64)).tolist()
    weight = torch.exp((torch.sign(advantage).unsqueeze(1) * delta).clamp(low, high))
    return weight.clamp(1 - epsilon_w, 1 + epsilon_w)


def clipped(advantage: Tensor, delta: Tensor, epsilon_w: float) -> tuple[Tensor, Tensor]:
    """Return which tokens' evidence weights are clipped below and above (Fig. 5c).

    Their share of which tokens is the caller's to say: the paper does not name its denominator.

    Args:
        advantage: (B,). Where A = 0 the weight is 1 and nothing is clipped.
        delta: (B, T) privileged gain, 0 on padding.
        epsilon_w: As in `evidence_weight`.

    Returns:
        Two tensors (B, T), 1 where clipped, else 0.
    """
    exponent = torch.sign(advantage).unsqueeze(1) * delta
    low, high = torch.log1p(torch.tensor([-epsilon_w, epsilon_w], dtype=torch.float64)).tolist()
    return (exponent < low).to(delta.dtype), (exponent > high).to(delta.dtype)


def rlsd_advantage(
    advantage: Tensor,
    delta: Tensor,
    mix: float,
    epsilon_w: float,
    *,
    negative_only: bool = False,
    renormalise: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Return Algorithm 1, line 17: Â_t = A·[(1−λ) + λ·clip(w_t, 1−ε_w, 1+ε_w)].

    λ = 0 is GRPO to the bit: A is multiplied by exactly 1.

    Args:
        advantage: (B,) sequence advantages A.
        delta: (B, T) privileged gain.
        mix: λ in [0, 1].
        epsilon_w: As in `evidence_weight`.
        negative_only: Ablation: reweight only where A < 0.
        renormalise: Ablation: divide the weights by their mean over each completion's tokens, so
            that credit moves between tokens and its sum stays. Needs ``mask``. The bound of the
            weights is then (1+ε_w)/(1−ε_w).
        mask: (B, T), 1 on completion tokens.

    Returns:
        (B, T) token advantages with the sign of A.
    """
    weight = evidence_weight(advantage, delta, epsilon_w)
    if renormalise:
        if mask is None:
            raise ValueError("renormalise needs the mask of completion tokens")
        mean = (weight * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        weight = torch.where(mean > 0, weight / mean.clamp(min=1e-12), weight)
    if negative_only:
        weight = torch.where((advantage < 0).unsqueeze(1), weight, torch.ones_like(weight))
    return advantage.unsqueeze(1) * ((1 - mix) + mix * weight)


def linear_decay(step: int, start: float, decay_steps: int, warmup_steps: int = 0) -> float:
    """Return λ at optimisation step ``step`` (from 1): linear from ``start`` to 0 over ``decay_steps``.

    The official script's schedule: λ = start·max(0, 1 − (step − warmup)/decay_steps), and start·step/warmup before.
    ``decay_steps = 0`` keeps λ constant after the warm-up.
    """
    if step < warmup_steps:
        return start * (step / warmup_steps)
    if decay_steps == 0:
        return start
    return start * max(0.0, 1 - (step - warmup_steps) / decay_steps)


def sequence_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over completions of each completion's token mean (the paper's 1/G Σ 1/|y| Σ).

    Args:
        values: (B, T).
        mask: (B, T). A completion without a token counts with 0.
    """
    return ((values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()
