"""One step of each arm on a `World`, exact in the rollouts: expectations over y are enumerated.

An update is the direction in which the student's logits move, given for every reference r that the
step may have drawn: (..., X, R, S, V). Its mean over P(r|x) is the step that training takes on
average; what is left per r is the deviation δ of Proposition 1, for every arm alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlsd_cli.objectives import rlsd_advantage
from rlsd_cli.theory.model import World, prefix_probability, scatter_tokens, token_log_probs

SIGMA_FLOOR = 1e-12


def opsd_update(world: World, logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return −∇KL(P_T(·|r) ‖ P_S) = P_T(·|r) − P_S, weighted by the student's visits of each prefix.

    Args:
        world: Gives the evidence of the references.
        logits: (..., X, S, V) of the student.
        teacher_logits: (..., X, S, V) that the teacher's pass starts from: the student's or a snapshot's.
    """
    log_student = world.log_student(logits)
    visits = prefix_probability(log_student, world.horizon)
    gap = world.log_teacher(teacher_logits).exp() - log_student.exp().unsqueeze(-2)
    return (visits[..., None, None] * gap).transpose(-2, -3)


def population_advantage(reward: Tensor, sequence_log_probs: Tensor) -> Tensor:
    """Return A(y) = (R(y) − μ)/σ with the moments of an infinitely large group, (..., X, Y).

    Args:
        reward: (X, Y), 0 or 1.
        sequence_log_probs: (..., X, Y) log π(y|x).
    """
    probs = sequence_log_probs.exp()
    mean = (probs * reward).sum(-1, keepdim=True)
    variance = (probs * (reward - mean).square()).sum(-1, keepdim=True)
    return (reward - mean) / variance.sqrt().clamp(min=SIGMA_FLOOR)


def policy_gradient(log_student: Tensor, token_advantage: Tensor, horizon: int) -> Tensor:
    """Return Σ_y π(y|x)·Σ_t Â_t(y)·∇log π(y_t|y_<t) with respect to the logits, (..., S, V).

    Args:
        log_student: (..., S, V).
        token_advantage: (..., Y, T).
        horizon: T.
    """
    probs = token_log_probs(log_student, horizon).sum(-1).exp()
    credit = scatter_tokens(probs.unsqueeze(-1) * token_advantage, log_student.size(-1))
    return credit - log_student.exp() * credit.sum(-1, keepdim=True)


def grpo_update(world: World, logits: Tensor) -> Tensor:
    """Return GRPO's update, (..., X, R, S, V); the same for every r, which GRPO never sees."""
    log_student = world.log_student(logits)
    sequence = token_log_probs(log_student, world.horizon).sum(-1)
    advantage = population_advantage(world.reward, sequence)
    update = policy_gradient(
        log_student, advantage.unsqueeze(-1).expand(*advantage.shape, world.horizon), world.horizon
    )
    references = world.references.size(1)
    return update.unsqueeze(-3).expand(*update.shape[:-2], references, *update.shape[-2:])


def rlsd_update(world: World, logits: Tensor, teacher_logits: Tensor, mix: float, epsilon_w: float) -> Tensor:
    """Return RLSD's update (eq. 17 with Algorithm 1's Â_t) for each reference, (..., X, R, S, V)."""
    log_student = world.log_student(logits)
    student_tokens = token_log_probs(log_student, world.horizon)
    log_teacher = world.log_teacher(teacher_logits).transpose(-2, -3)
    teacher_tokens = token_log_probs(log_teacher, world.horizon)  # (..., X, R, Y, T)
    delta = teacher_tokens - student_tokens.unsqueeze(-3)
    advantage = population_advantage(world.reward, student_tokens.sum(-1)).unsqueeze(-2).expand(delta.shape[:-1])
    credit = rlsd_advantage(advantage.reshape(-1), delta.reshape(-1, world.horizon), mix, epsilon_w)
    log_policy = log_student.unsqueeze(-3).expand(*delta.shape[:-2], *log_student.shape[-2:])
    return policy_gradient(log_policy, credit.view(delta.shape), world.horizon)


def mean_over_references(weights: Tensor, update: Tensor) -> Tensor:
    """Return Σ_r ω_r·update(r), (..., X, S, V), for weights ω (..., X, R) that sum to 1."""
    return (weights[..., None, None] * update).sum(dim=-3)


def deviation_share(references: Tensor, update: Tensor) -> Tensor:
    """Return ρ = E_r‖δ(r)‖² / E_r‖g(r)‖² in [0, 1], (..., X); 0 where nothing moves.

    E_r[δ] = 0 makes E‖g‖² = ‖g*‖² + E‖δ‖², so ρ is a share. Source: the deviation fraction of Prop. 3.
    """
    mean = mean_over_references(references, update)
    deviation = (references * (update - mean.unsqueeze(-3)).square().sum((-1, -2))).sum(-1)
    total = (references * update.square().sum((-1, -2))).sum(-1)
    return torch.where(total > 0, deviation / total.clamp(min=torch.finfo(total.dtype).tiny), torch.zeros_like(total))
