"""Theorem 1 on a trained model: loss, floor and their gap from teacher distributions under several references.

The references of a question are listed and their P(r|x) is given, so the mutual information is a
finite sum at every prefix; only questions and completions are sampled. Completions come from the
student, as in training, and Y_<t is therefore independent of R given X, as the theorem needs.

Shapes: B completions, T tokens, R references, V vocabulary, Q questions. Log-probs in nats, float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.divergences import kl_entries
from rlsd_cli.statistics import Interval, t_interval
from rlsd_cli.theory.information import distillation_loss, mutual_information, reducible_loss


@dataclass(frozen=True)
class TokenTerms:
    """Theorem 1's terms at each completion token, all (B, T) but ``by_reference``.

    Attributes:
        loss: Σ_r P(r|x)·KL(P_T(·|r) ‖ P_S).
        floor: I(Y_t; R | x, y_<t).
        reducible: KL(P̄_T ‖ P_S).
        by_reference: (B, T, R) KL(P_T(·|r) ‖ P_S): the loss of a run that uses reference r alone.
        marked_floor: The part of the floor in the one question whether Y_t is the marked token.
        marked_reducible: The part of KL(P̄_T ‖ P_S) in that question.
    """

    loss: Tensor
    floor: Tensor
    reducible: Tensor
    by_reference: Tensor
    marked_floor: Tensor
    marked_reducible: Tensor


def token_terms(weights: Tensor, log_teacher: Tensor, log_student: Tensor, marked: int) -> TokenTerms:
    """Return the terms of Theorem 1 at each token.

    Args:
        weights: (B, 1, R) P(r|x), or (R,) where it is the same for all.
        log_teacher: (B, T, R, V).
        log_student: (B, T, V).
        marked: A token whose part is wanted: the one that starts a citation. By the chain rule a divergence is
            that of "marked or not" plus that of the token given the answer, so parts are never negative.
    """
    teacher_marks, student_marks = marked_or_not(log_teacher, marked), marked_or_not(log_student, marked)
    return TokenTerms(
        loss=distillation_loss(weights, log_teacher, log_student),
        floor=mutual_information(weights, log_teacher),
        reducible=reducible_loss(weights, log_teacher, log_student),
        by_reference=kl_entries(log_teacher, log_student.unsqueeze(-2)).sum(-1),
        marked_floor=mutual_information(weights, teacher_marks),
        marked_reducible=reducible_loss(weights, teacher_marks, student_marks),
    )


def marked_or_not(log_probs: Tensor, marked: int) -> Tensor:
    """Return the log-probabilities of (the token is ``marked``, it is not), (..., 2)."""
    log_p = log_probs[..., marked].clamp(max=0.0)
    return torch.stack([log_p, torch.log(-torch.expm1(log_p))], dim=-1)


def completion_means(values: Tensor, mask: Tensor) -> Tensor:
    """Return the token mean of each completion, (B,): OPSD's normalisation.

    Args:
        values: (B, T).
        mask: (B, T), 1 on completion tokens, at least one per row.
    """
    return (values * mask).sum(1) / mask.sum(1)


@dataclass(frozen=True)
class FloorEstimate:
    """Loss and floor of one model, nats per token; 95 % intervals over questions.

    Attributes:
        loss: L_OPSD under P(r|x).
        floor: I(Y_t; R | X, Y_<t).
        reducible: L*.
        gap: L* again, without a shared sample: loss on one half of each question's completions minus the floor on the
            other half. Its expectation is E[L*], which is never negative; only its size is a measurement.
        by_reference: L_OPSD with each reference kind alone.
        marked_floor: Share of the floor that lies in whether the token is the marked one.
        marked_reducible: The same of L*.
        residual: Largest |loss − reducible − floor| of a token: Theorem 1 as an identity.
    """

    loss: Interval
    floor: Interval
    reducible: Interval
    gap: Interval
    by_reference: dict[str, Interval]
    marked_floor: float
    marked_reducible: float
    residual: float


def summarise(terms: TokenTerms, mask: Tensor, samples: int, kinds: Sequence[str]) -> FloorEstimate:
    """Reduce token terms to intervals over questions.

    Args:
        terms: Of B = Q·samples completions, a question's completions side by side.
        mask: (B, T).
        samples: Completions per question, at least 2.
        kinds: Names of the R references; those of one name are averaged.

    Raises:
        ValueError: There are fewer than two completions per question.
    """
    if samples < 2:
        raise ValueError("two completions per question are needed for a gap on separate samples")

    def by_question(values: Tensor) -> Tensor:
        return completion_means(values, mask).view(-1, samples)

    loss, floor, reducible = (by_question(term) for term in (terms.loss, terms.floor, terms.reducible))
    half = samples // 2
    gap = loss[:, :half].mean(1) - floor[:, half:].mean(1)
    residual = ((terms.loss - terms.reducible - terms.floor).abs() * mask).max().item()
    return FloorEstimate(
        loss=over_questions(loss),
        floor=over_questions(floor),
        reducible=over_questions(reducible),
        gap=t_interval(gap.numpy()),
        by_reference={
            kind: over_questions(by_question(terms.by_reference[..., [own == kind for own in kinds]].mean(-1)))
            for kind in dict.fromkeys(kinds)
        },
        marked_floor=(by_question(terms.marked_floor).mean() / floor.mean()).item(),
        marked_reducible=(by_question(terms.marked_reducible).mean() / reducible.mean()).item(),
        residual=residual,
    )


def over_questions(values: Tensor) -> Interval:
    """Return mean and interval of (Q, samples) values with the question as the unit."""
    return t_interval(values.mean(1).numpy())


def join(parts: Sequence[TokenTerms]) -> TokenTerms:
    """Concatenate the terms of several batches of completions with the same width."""
    return TokenTerms(*(torch.cat([getattr(part, name) for part in parts]) for name in TokenTerms.__annotations__))


def as_json(estimate: FloorEstimate) -> dict[str, Any]:
    """Return an estimate for report.json; an interval becomes {mean, low, high, n}."""

    def plain(value: Any) -> Any:
        if isinstance(value, Interval):
            return value._asdict()
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value

    return {name: plain(getattr(estimate, name)) for name in FloorEstimate.__annotations__}
