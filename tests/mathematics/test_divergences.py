"""divergences.py against hand-worked numbers, torch.distributions, brute force in float64 and TRL's own code."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from rlsd_cli import divergences

torch.manual_seed(0)
# Student (1/2, 1/2), teacher (3/4, 1/4), by hand:
# forward KL = 3/4·log(3/2) + 1/4·log(1/2); reverse KL = 1/2·log(2/3) + 1/2·log 2.
STUDENT = torch.log(torch.tensor([0.5, 0.5], dtype=torch.float64))
TEACHER = torch.log(torch.tensor([0.75, 0.25], dtype=torch.float64))
FORWARD = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
REVERSE = 0.5 * math.log(2 / 3) + 0.5 * math.log(2)


def random_logits(*shape, scale=2.0):
    generator = torch.Generator().manual_seed(sum(shape))
    return (
        (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).requires_grad_(),
        torch.randn(*shape, generator=generator, dtype=torch.float64) * scale,
    )


def brute_force(student_logits, teacher_logits, beta):
    """The definition, entry by entry, with probabilities."""
    s, t = torch.softmax(student_logits, -1), torch.softmax(teacher_logits, -1)
    m = beta * t + (1 - beta) * s
    if beta == 0:
        return (t * (t / s).log()).sum(-1)
    if beta == 1:
        return (s * (s / t).log()).sum(-1)
    return beta * (t * (t / m).log()).sum(-1) + (1 - beta) * (s * (s / m).log()).sum(-1)


@pytest.mark.parametrize(("beta", "expected"), [(0.0, FORWARD), (1.0, REVERSE)])
def test_kl_by_hand(beta, expected):
    assert divergences.divergence(STUDENT, TEACHER, beta=beta).item() == pytest.approx(expected, abs=1e-12)


def test_jsd_by_hand():
    # β = 1/2: M = (5/8, 3/8).
    teacher = 0.75 * math.log(0.75 / 0.625) + 0.25 * math.log(0.25 / 0.375)
    student = 0.5 * math.log(0.5 / 0.625) + 0.5 * math.log(0.5 / 0.375)
    value = divergences.divergence(STUDENT, TEACHER, beta=0.5).item()
    assert value == pytest.approx((teacher + student) / 2, abs=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_full_support_and_its_gradient_equal_brute_force(beta):
    student, teacher = random_logits(3, 4, 11)
    value = divergences.divergence(student, teacher, beta=beta)
    expected = brute_force(student, teacher, beta)
    assert torch.allclose(value, expected, atol=1e-12)
    (gradient,) = torch.autograd.grad(value.sum(), student)
    (reference,) = torch.autograd.grad(expected.sum(), student)
    assert torch.allclose(gradient, reference, atol=1e-12)


def test_kl_equals_torch_distributions():
    student, teacher = random_logits(5, 7)
    s, t = Categorical(logits=student), Categorical(logits=teacher)
    assert torch.allclose(divergences.divergence(student, teacher, beta=0.0), kl_divergence(t, s))
    assert torch.allclose(divergences.divergence(student, teacher, beta=1.0), kl_divergence(s, t))


def test_forward_kl_gradient_is_student_minus_teacher():
    # d/dz_v Σ_u P_T(u)·(−log softmax(z)_u) = P_S(v) − P_T(v).
    student, teacher = random_logits(2, 6)
    (gradient,) = torch.autograd.grad(divergences.divergence(student, teacher).sum(), student)
    assert torch.allclose(gradient, torch.softmax(student, -1) - torch.softmax(teacher, -1), atol=1e-12)


@pytest.mark.parametrize("support", ["full", "top_k", "teacher_top1", "student_top1"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_gradients_pass_gradcheck_and_never_reach_the_teacher(support, beta):
    student, teacher = random_logits(2, 5)
    teacher.requires_grad_()
    options = {"support": support, "beta": beta, "top_k": 3}
    assert torch.autograd.gradcheck(lambda s: divergences.divergence(s, teacher.detach(), **options), (student,))
    divergences.divergence(student, teacher, **options).sum().backward()
    assert teacher.grad is None


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_equal_distributions_have_divergence_zero(beta):
    logits, _ = random_logits(4, 9)
    assert divergences.divergence(logits, logits.detach(), beta=beta).abs().max() < 1e-12


def test_top_k_with_tail_by_hand():
    # Student (0.5, 0.3, 0.1, 0.1), k = 2 keeps 0.5 and 0.3, tail 0.2; teacher on the same entries 0.2, 0.2, tail 0.6.
    student = torch.tensor([0.5, 0.3, 0.1, 0.1], dtype=torch.float64).log()
    teacher = torch.tensor([0.2, 0.2, 0.3, 0.3], dtype=torch.float64).log()
    expected = 0.2 * math.log(0.2 / 0.5) + 0.2 * math.log(0.2 / 0.3) + 0.6 * math.log(0.6 / 0.2)
    value = divergences.divergence(student, teacher, support="top_k", top_k=2)
    assert value.item() == pytest.approx(expected, abs=1e-9)


def test_top_k_of_the_whole_vocabulary_is_the_full_support():
    student, teacher = random_logits(3, 8)
    full = divergences.divergence(student, teacher, beta=0.5)
    for k in (8, 100):
        assert torch.equal(divergences.divergence(student, teacher, beta=0.5, support="top_k", top_k=k), full)


def test_top_k_never_exceeds_the_full_divergence():
    # Merging entries into a bucket can only lose information (data-processing inequality).
    student, teacher = random_logits(50, 12)
    full = divergences.divergence(student, teacher)
    for k in (1, 3, 11):
        assert (divergences.divergence(student, teacher, support="top_k", top_k=k) <= full + 1e-9).all()


def test_teacher_top1_gradient_is_that_of_the_teachers_choice():
    # −log softmax(z)_v*: gradient P_S(v) − [v = v*].
    student, teacher = random_logits(3, 6)
    (gradient,) = torch.autograd.grad(divergences.divergence(student, teacher, support="teacher_top1").sum(), student)
    target = torch.nn.functional.one_hot(teacher.argmax(-1), 6).double()
    assert torch.allclose(gradient, torch.softmax(student, -1) - target, atol=1e-12)


def test_student_top1_weighs_the_students_choice_with_the_teachers_probability():
    # Gradient of −P_T(v*)·log P_S(v*): P_T(v*)·(P_S(v) − [v = v*]).
    student, teacher = random_logits(3, 6)
    (gradient,) = torch.autograd.grad(divergences.divergence(student, teacher, support="student_top1").sum(), student)
    best = student.argmax(-1)
    weight = torch.softmax(teacher, -1).gather(-1, best.unsqueeze(-1))
    target = torch.nn.functional.one_hot(best, 6).double()
    assert torch.allclose(gradient, weight * (torch.softmax(student, -1) - target), atol=1e-12)


def test_entry_clip_bounds_each_entry_and_stops_its_gradient():
    # Forward contributions by hand: 0.75·log 1.5 = 0.304 is cut to 0.05; 0.25·log 0.5 = −0.173 stays.
    student = STUDENT.clone().requires_grad_()
    value = divergences.divergence(student, TEACHER, entry_clip=0.05)
    assert value.item() == pytest.approx(0.05 + 0.25 * math.log(0.5), abs=1e-12)
    (gradient,) = torch.autograd.grad(value, student)
    # Only −0.25·log P_S(1) is left: gradient 0.25·(P_S − e_1).
    assert torch.allclose(gradient, torch.tensor([0.125, -0.125], dtype=torch.float64))


def test_impossible_entries_count_as_zero_not_nan():
    student = torch.tensor([0.0, 0.0, -torch.inf], dtype=torch.float64)
    teacher = torch.tensor([0.0, 0.0, -torch.inf], dtype=torch.float64)
    for beta in (0.0, 1.0):
        assert divergences.divergence(student, teacher, beta=beta).item() == pytest.approx(0.0)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_full_and_top_k_agree_with_trl(alpha):
    utilities = pytest.importorskip("trl.experimental.sdpo.loss_utils")
    student, teacher = random_logits(3, 5, 20)
    full = utilities.compute_full_logit_self_distillation_loss(student, teacher, distillation_alpha=alpha)
    assert torch.allclose(divergences.divergence(student, teacher, beta=alpha), full, atol=1e-6)
    top_k = utilities.compute_topk_self_distillation_loss(
        student, teacher, distillation_topk=5, distillation_alpha=alpha, distillation_add_tail=True
    )
    ours = divergences.divergence(student, teacher, support="top_k", top_k=5, beta=alpha)
    assert torch.allclose(ours, top_k, atol=1e-6)
