"""Divergences between a teacher's and a student's next-token distributions, token by token.

Arguments are logits of shape (..., V); results have shape (...), in nats. Gradients flow
into the student only: the teacher's logits are detached here, whatever the caller does.

``beta`` follows TRL: 0 is the forward KL(P_T ‖ P_S), 1 the reverse KL(P_S ‖ P_T), and between
them the generalised Jensen-Shannon divergence
β·KL(P_T ‖ M) + (1−β)·KL(P_S ‖ M) with M = β·P_T + (1−β)·P_S.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Support = Literal["full", "top_k", "teacher_top_k", "teacher_top1", "student_top1"]


def divergence(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    support: Support = "full",
    beta: float = 0.0,
    top_k: int = 100,
    entry_clip: float | None = None,
) -> Tensor:
    """Return the divergence on the chosen support.

    Args:
        student_logits: (..., V), with gradient.
        teacher_logits: (..., V).
        support: ``full`` sums over the vocabulary; ``top_k`` over the student's k most probable
            entries and one bucket for the rest (SDPO); ``teacher_top_k`` over the teacher's k most probable entries,
            both distributions renormalised on them (OPSD's option); ``teacher_top1`` and ``student_top1`` are the
            paper's restricted targets (`teacher_top1`, `student_top1`), to which ``beta`` does not apply.
        beta: See the module docstring.
        top_k: k of ``top_k``; a k of V or more is the full support.
        entry_clip: Upper bound of each entry's contribution to the sum, in nats (OPSD's
            pointwise clip). Entries above it get no gradient.
    """
    student = torch.log_softmax(student_logits, dim=-1)
    teacher = torch.log_softmax(teacher_logits.detach(), dim=-1)
    if support == "teacher_top1":
        return teacher_top1(student, teacher)
    if support == "student_top1":
        return student_top1(student, teacher)
    if support == "top_k" and top_k < student.size(-1):
        student, teacher = top_k_with_tail(student, teacher, top_k)
    if support == "teacher_top_k" and top_k < student.size(-1):
        student, teacher = teacher_top_k(student, teacher, top_k)
    contributions = divergence_entries(student, teacher, beta)
    if entry_clip is not None:
        contributions = contributions.clamp(max=entry_clip)
    return contributions.sum(dim=-1)


def divergence_entries(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """Return each vocabulary entry's contribution to the divergence of two log-distributions, (..., V)."""
    if beta == 0.0:
        return kl_entries(teacher, student)
    if beta == 1.0:
        return kl_entries(student, teacher)
    mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return beta * kl_entries(teacher, mixture) + (1 - beta) * kl_entries(student, mixture)


def kl_entries(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return p·(log p − log q) entry by entry, with 0·log 0 = 0."""
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), torch.zeros_like(p))


def top_k_with_tail(student: Tensor, teacher: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return both log-distributions on the student's top k entries and one bucket for the rest.

    Args:
        student: (..., V) log-probs.
        teacher: (..., V) log-probs.
        k: Entries kept, below V.

    Returns:
        Two tensors of shape (..., k+1) that are log-distributions.
    """
    kept, indices = student.topk(k, dim=-1)
    return append_tail(kept), append_tail(teacher.gather(-1, indices))


def teacher_top_k(student: Tensor, teacher: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return both log-distributions on the teacher's top k entries, each renormalised there, (..., k)."""
    kept, indices = teacher.topk(k, dim=-1)
    return torch.log_softmax(student.gather(-1, indices), dim=-1), torch.log_softmax(kept, dim=-1)


def sampled_reverse_kl(student_logits: Tensor, teacher_logits: Tensor, ids: Tensor) -> Tensor:
    """Return −sg(log P_T(y) − log P_S(y))·log P_S(y), whose gradient is, in the mean over y, the reverse KL's.

    OPSD's sampled-token form, a policy gradient with the teacher's surprise as advantage. The value means nothing.

    Args:
        student_logits: (..., V), with gradient.
        teacher_logits: (..., V).
        ids: (...) tokens sampled from the student.
    """
    chosen = ids.unsqueeze(-1)
    student = torch.log_softmax(student_logits, dim=-1).gather(-1, chosen).squeeze(-1)
    teacher = torch.log_softmax(teacher_logits.detach(), dim=-1).gather(-1, chosen).squeeze(-1)
    return -(teacher - student).detach() * student


def append_tail(log_probs: Tensor) -> Tensor:
    """Append log(1 − Σ p) to log-probs of a part of the vocabulary.

    The captured mass is kept below 1 by 1e-7, as in SDPO: in float32 it may round to 1.
    """
    captured = torch.logsumexp(log_probs, dim=-1, keepdim=True).clamp(max=-1e-7)
    return torch.cat([log_probs, torch.log(-torch.expm1(captured))], dim=-1)


def teacher_top1(student: Tensor, teacher: Tensor) -> Tensor:
    """Return −log P_S(v*) with v* = argmax P_T: the target is a point mass on the teacher's choice (sec. 3)."""
    best = teacher.argmax(dim=-1, keepdim=True)
    return -student.gather(-1, best).squeeze(-1)


def student_top1(student: Tensor, teacher: Tensor) -> Tensor:
    """Return P_T(v*)·(log P_T(v*) − log P_S(v*)) with v* = argmax P_S: the support is the student's choice (sec. 3).

    Its gradient is −P_T(v*)·∇log P_S(v*), the paper's weight P_T/P_S on ∇P_S. The value may be negative.
    """
    best = student.argmax(dim=-1, keepdim=True)
    return kl_entries(teacher.gather(-1, best), student.gather(-1, best)).squeeze(-1)
