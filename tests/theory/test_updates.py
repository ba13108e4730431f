"""Each arm's exact update against automatic differentiation of its objective."""

import pytest
import torch

from rlsd_cli.theory.information import distillation_loss
from rlsd_cli.theory.model import prefix_probability, token_log_probs
from rlsd_cli.theory.updates import (
    deviation_share,
    grpo_update,
    mean_over_references,
    opsd_update,
    population_advantage,
    rlsd_update,
)
from rlsd_cli.theory.worlds import random_world


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_opsd_update_is_minus_the_gradient_of_its_loss(horizon: int) -> None:
    world = random_world(3, horizon=horizon)
    logits = world.student.clone().requires_grad_(True)
    log_student = world.log_student(logits)
    visits = prefix_probability(world.log_student(), horizon)
    loss = visits * distillation_loss(world.references.unsqueeze(1), world.log_teacher(), log_student)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    update = mean_over_references(world.references, opsd_update(world, world.student, world.student))
    assert torch.allclose(update, -gradient, atol=1e-13)


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_grpo_update_is_the_gradient_of_the_expected_reward_over_its_spread(horizon: int) -> None:
    world = random_world(4, horizon=horizon)
    logits = world.student.clone().requires_grad_(True)
    expected = (token_log_probs(world.log_student(logits), horizon).sum(-1).exp() * world.reward).sum(-1)
    (gradient,) = torch.autograd.grad(expected.sum(), logits)
    spread = (expected * (1 - expected)).sqrt().detach()
    update = grpo_update(world, world.student)
    assert torch.allclose(update[:, 0], gradient / spread[:, None, None], atol=1e-12)
    assert torch.equal(update[:, 0], update[:, -1])


def test_rlsd_update_is_the_gradient_of_its_surrogate() -> None:
    world, mix, epsilon = random_world(5, horizon=2), 0.7, 0.3
    logits = world.student.clone().requires_grad_(True)
    tokens = token_log_probs(world.log_student(logits), 2)
    probs = tokens.detach().sum(-1).exp()
    advantage = population_advantage(world.reward, tokens.detach().sum(-1))
    teacher = token_log_probs(world.log_teacher()[:, :, 1], 2)
    # Algorithm 1, line 17, written out a second time.
    weight = torch.exp(advantage.sign().unsqueeze(-1) * (teacher - tokens.detach())).clamp(1 - epsilon, 1 + epsilon)
    credit = advantage.unsqueeze(-1) * ((1 - mix) + mix * weight)
    surrogate = (probs.unsqueeze(-1) * credit * tokens).sum()
    (gradient,) = torch.autograd.grad(surrogate, logits)
    update = rlsd_update(world, world.student, world.student, mix, epsilon)
    assert torch.allclose(update[:, 1], gradient, atol=1e-12)


def test_rlsd_without_mixing_is_grpo() -> None:
    world = random_world(6)
    assert torch.equal(rlsd_update(world, world.student, world.student, 0.0, 0.2), grpo_update(world, world.student))


def test_advantage_has_mean_zero_and_variance_one_under_the_policy() -> None:
    world = random_world(7)
    sequence = token_log_probs(world.log_student(), world.horizon).sum(-1)
    advantage = population_advantage(world.reward, sequence)
    probs = sequence.exp()
    assert (probs * advantage).sum(-1).abs().max() < 1e-12
    assert torch.allclose((probs * advantage.square()).sum(-1), torch.ones(3, dtype=torch.float64), atol=1e-10)


def test_deviation_share_is_one_half_when_mean_and_deviation_are_equally_long() -> None:
    # Updates (2, 0) and (0, 0) with equal weights: mean (1, 0), deviations ±(1, 0): E‖δ‖² = 1 of E‖g‖² = 2.
    update = torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]]]], dtype=torch.float64)
    assert deviation_share(torch.tensor([[0.5, 0.5]], dtype=torch.float64), update).item() == pytest.approx(0.5)
