"""Theorem 1's three quantities, from next-token distributions alone.

Shapes: any leading axes, then R references and V tokens. A teacher is given as log-probabilities
(..., R, V), a student as (..., V), the references' probabilities P(r|x) as weights (..., R) that
broadcast against the teacher's leading axes. The same functions serve the enumerable model
(leading axes X, S) and completions of a language model (leading axes B, T).
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlsd_cli.divergences import kl_entries


def mixture(weights: Tensor, log_teacher: Tensor) -> Tensor:
    """Return log P̄_T = log Σ_r P(r|x)·P_T(·|x, r, y_<t), (..., V). Source: sec. 4, eq. 8."""
    return torch.logsumexp(log_teacher + weights.log().unsqueeze(-1), dim=-2)


def distillation_loss(weights: Tensor, log_teacher: Tensor, log_student: Tensor) -> Tensor:
    """Return Σ_r P(r|x)·KL(P_T(·|x, r, y_<t) ‖ P_S(·|x, y_<t)), (...). Source: eq. 9."""
    divergence = kl_entries(log_teacher, log_student.unsqueeze(-2).expand_as(log_teacher)).sum(dim=-1)
    return (weights * divergence).sum(dim=-1)


def reducible_loss(weights: Tensor, log_teacher: Tensor, log_student: Tensor) -> Tensor:
    """Return KL(P̄_T ‖ P_S), (...): what a student that never sees r can still remove. Source: eq. 8."""
    return kl_entries(mixture(weights, log_teacher), log_student).sum(dim=-1)


def mutual_information(weights: Tensor, log_teacher: Tensor) -> Tensor:
    """Return I(Y_t; R) under R ~ P(r|x), Y_t ~ P_T(·|x, R, y_<t), (...): the floor of Theorem 1.

    Computed as H(P̄_T) − Σ_r P(r|x)·H(P_T(·|r)), which shares no step with `distillation_loss`:
    their agreement is a check and not a tautology.
    """
    return entropy(mixture(weights, log_teacher)) - (weights * entropy(log_teacher)).sum(dim=-1)


def entropy(log_probs: Tensor) -> Tensor:
    """Return −Σ_v p·log p over the last axis, with 0·log 0 = 0."""
    return -kl_entries(log_probs, torch.zeros_like(log_probs)).sum(dim=-1)
