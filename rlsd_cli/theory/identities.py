"""Theorem 1, Proposition 1 and Theorem 4 on a `World`, by enumeration."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlsd_cli.theory.information import distillation_loss, mixture, mutual_information, reducible_loss
from rlsd_cli.theory.model import World, completions, prefix_count, prefix_probability


@dataclass(frozen=True)
class Decomposition:
    """The three terms of Theorem 1, in nats per completion (summed over its positions)."""

    loss: Tensor
    reducible: Tensor
    floor: Tensor


def decompose(world: World, log_student: Tensor, log_teacher: Tensor) -> Decomposition:
    """Return L_OPSD, L* and I(Y_t; R | X, Y_<t) per question, each (..., X).

    Prefixes are the student's own: each position counts with the probability that the student reaches it.
    The floor therefore moves with the student, through the prefixes it visits, even when the
    teacher is held fixed; at fixed prefixes it does not.

    Args:
        world: Gives P(r|x) and the horizon.
        log_student: (..., X, S, V).
        log_teacher: (..., X, S, R, V).
    """
    visits = prefix_probability(log_student, world.horizon)
    weights = world.references.unsqueeze(-2)
    return Decomposition(
        loss=(visits * distillation_loss(weights, log_teacher, log_student)).sum(-1),
        reducible=(visits * reducible_loss(weights, log_teacher, log_student)).sum(-1),
        floor=(visits * mutual_information(weights, log_teacher)).sum(-1),
    )


def loss_gradients(world: World) -> tuple[Tensor, Tensor]:
    """Return g(θ; r) per question and reference, and g* = ∇L*, by automatic differentiation.

    Teacher and prefixes are held fixed, as in training: gradients flow through the student's
    next-token distribution alone (eqs. 10 and 11).

    Returns:
        (X, R, S, V) and (X, S, V), with respect to the student's logits.
    """
    logits = world.student.clone().requires_grad_(True)
    log_student = world.log_student(logits)
    log_teacher = world.log_teacher().detach()
    visits = prefix_probability(world.log_student(), world.horizon).detach()
    by_reference = []
    for r in range(world.references.size(1)):
        only = torch.zeros_like(world.references)
        only[:, r] = 1.0
        loss = (visits * distillation_loss(only.unsqueeze(-2), log_teacher, log_student)).sum()
        by_reference.append(torch.autograd.grad(loss, logits, retain_graph=True)[0])
    optimal = (visits * reducible_loss(world.references.unsqueeze(-2), log_teacher, log_student)).sum()
    return torch.stack(by_reference, dim=1), torch.autograd.grad(optimal, logits)[0]


def score_gradients(log_student: Tensor, jacobian: Tensor) -> Tensor:
    """Return ∇_θ log P_S(v) = J_v − Σ_u P_S(u)·J_u, (..., V, D), of logits with Jacobian J (..., V, D)."""
    return jacobian - (log_student.exp().unsqueeze(-1) * jacobian).sum(dim=-2, keepdim=True)


@dataclass(frozen=True)
class DeviationEnergy:
    """E_r‖δ‖² at each position and the two sums of Proposition 1 (ii), each (...)."""

    exact: Tensor
    printed: Tensor
    cross: Tensor


def deviation_energy(weights: Tensor, log_teacher: Tensor, scores: Tensor) -> DeviationEnergy:
    """Return E_r‖δ(r)‖², the sum that Proposition 1 (ii) prints, and what the print leaves out.

    exact   = Σ_r P(r|x)·‖Σ_v [P_T(v|r) − P̄_T(v)]·∇log P_S(v)‖²
    printed = Σ_v Var_r[P_T(v|r)]·‖∇log P_S(v)‖²
    cross   = Σ_{v≠u} Cov_r[P_T(v|r), P_T(u|r)]·⟨∇log P_S(v), ∇log P_S(u)⟩

    Args:
        weights: (..., R) P(r|x).
        log_teacher: (..., R, V).
        scores: (..., V, D) from `score_gradients`.
    """
    deviation = log_teacher.exp() - mixture(weights, log_teacher).exp().unsqueeze(-2)
    delta = deviation @ scores
    covariance = (deviation * weights.unsqueeze(-1)).transpose(-1, -2) @ deviation
    products = covariance * (scores @ scores.transpose(-1, -2))
    diagonal = products.diagonal(dim1=-2, dim2=-1).sum(-1)
    off_diagonal = products - torch.diag_embed(products.diagonal(dim1=-2, dim2=-1))
    return DeviationEnergy(
        exact=(weights * delta.square().sum(-1)).sum(-1), printed=diagonal, cross=off_diagonal.sum((-2, -1))
    )


@dataclass(frozen=True)
class BayesPair:
    """A teacher that satisfies Assumption 1 exactly, with the posteriors it comes from.

    Attributes:
        log_teacher: (X, S, R, V).
        log_posterior: (X, Y, R) log P(r|x, y).
        log_prior: (X, R) log P(r|x).
    """

    log_teacher: Tensor
    log_posterior: Tensor
    log_prior: Tensor


def bayes_teacher(world: World, log_posterior: Tensor) -> BayesPair:
    """Build the teacher with P_T/P_S = P(r|x, y_≤t)/P(r|x, y_<t) (Assumption 1) from posteriors of completions.

    Args:
        world: Gives the student and the horizon.
        log_posterior: (X, Y, R), any log P(r|x, y).
    """
    horizon, size = world.horizon, world.vocabulary
    log_student = world.log_student()
    visits = prefix_probability(log_student, horizon)
    # P(r|x, prefix) is the student's average of P(r|x, y) over the completions y of the prefix.
    level = log_posterior.exp()
    levels = [level]
    for position in reversed(range(horizon)):
        rows = slice(prefix_count(size, position), prefix_count(size, position + 1))
        probs = log_student[:, rows].exp()
        level = (probs.unsqueeze(-1) * level.unflatten(1, (-1, size))).sum(dim=2)
        levels.insert(0, level)
    beliefs = torch.cat(levels, dim=1).log()  # (X, S + Y, R)
    at_prefix = beliefs[:, : visits.size(1)]
    after_token = beliefs[:, 1:].unflatten(1, (-1, size))  # children of prefix s are numbers sV+1 … sV+V
    ratio = (after_token - at_prefix.unsqueeze(2)).transpose(-1, -2)
    return BayesPair(log_student.unsqueeze(2) + ratio, log_posterior, at_prefix[:, 0])


def telescoping_residual(world: World, pair: BayesPair) -> Tensor:
    """Return |Σ_t log P_T/P_S − log P(r|x, y)/P(r|x)| for every completion and reference, (X, Y, R): Theorem 4."""
    prefixes, tokens = completions(world.vocabulary, world.horizon)
    gain = pair.log_teacher - world.log_student().unsqueeze(2)
    summed = gain.transpose(2, 3)[:, prefixes, tokens].sum(dim=2)
    return (summed - (pair.log_posterior - pair.log_prior.unsqueeze(1))).abs()
