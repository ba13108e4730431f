"""Placebo evidence: each keeps what its name says, and drops the rest."""

import math

import pytest
import torch

from rlsd_cli import evidence, objectives

MASK = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
DELTA = torch.tensor([[0.1, -0.4, 0.9, 0.02, 0, 0], [0.5, -0.6, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.0]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_permuted_evidence_keeps_each_completions_values_and_moves_them():
    seen = set()
    for seed in range(60):
        moved = evidence.permuted(DELTA, MASK, generator(seed))
        assert sorted(moved[0, :4].tolist()) == sorted(DELTA[0, :4].tolist())
        assert sorted(moved[1, :2].tolist()) == sorted(DELTA[1, :2].tolist())
        assert not moved[MASK == 0].any()
        seen.add(tuple(moved[0, :4].tolist()))
    assert len(seen) > 15, "of 24 orders of four values"


def test_permuting_skips_tokens_in_the_middle_that_do_not_count():
    mask = torch.tensor([[1, 0, 1, 0, 1]])
    delta = torch.tensor([[1.0, 0, 2.0, 0, 3.0]])
    for seed in range(10):
        moved = evidence.permuted(delta, mask, generator(seed))
        assert not moved[mask == 0].any()
        assert sorted(moved[mask == 1].tolist()) == [1.0, 2.0, 3.0]


def test_noise_has_the_mean_and_spread_of_the_evidence_and_nothing_of_its_places():
    mask = torch.ones(50, 200)
    delta = 0.3 + 0.7 * torch.randn(50, 200, generator=generator(1))
    drawn = evidence.noise(delta, mask, generator(2))
    # 10 000 values: the mean's standard error is 0.007, the deviation's 0.005, a correlation's 0.01.
    assert drawn.mean().item() == pytest.approx(delta.mean().item(), abs=0.035)
    assert drawn.std().item() == pytest.approx(delta.std().item(), abs=0.025)
    assert abs(torch.corrcoef(torch.stack([drawn.flatten(), delta.flatten()]))[0, 1]) < 0.05
    assert not evidence.noise(DELTA, MASK, generator())[MASK == 0].any()


def test_noise_of_fewer_than_two_tokens_is_the_evidence_itself():
    one = torch.tensor([[1, 0]])
    assert torch.equal(evidence.noise(torch.tensor([[0.3, 0.0]]), one, generator()), torch.tensor([[0.3, 0.0]]))


def test_flipped_evidence_inverts_each_weight():
    advantage = torch.tensor([1.0, -1.0, 1.0])
    weight = objectives.evidence_weight(advantage, DELTA, 0.9)
    inverse = objectives.evidence_weight(advantage, evidence.flipped(DELTA), 0.9)
    inside = (weight > 0.11) & (weight < 1.89) & (inverse > 0.11) & (inverse < 1.89)
    assert inside.any()
    assert torch.allclose((weight * inverse)[inside], torch.ones_like(weight)[inside])


def test_sign_means_give_every_token_the_mean_weight_of_its_side():
    # Weights with ε = 0.2. A > 0, row 1: e^0.1 = 1.10517, e^-0.4 → 0.8, e^0.9 → 1.2, e^0.02 = 1.02020: mean 1.03134.
    # A < 0, row 2: e^-0.5 → 0.8, e^0.6 → 1.2: mean 1.
    advantage = torch.tensor([2.0, -0.5, 1.0])
    delta = evidence.sign_mean(DELTA, MASK, advantage, 0.2)
    weight = objectives.evidence_weight(advantage, delta, 0.2)
    right = (math.exp(0.1) + 0.8 + 1.2 + math.exp(0.02)) / 4
    assert torch.allclose(weight[0, :4], torch.full((4,), right))
    assert torch.allclose(weight[1, :2], torch.ones(2), atol=1e-6)
    assert not delta[MASK == 0].any()


def test_a_completion_without_advantage_gets_no_sign_mean():
    assert not evidence.sign_mean(DELTA, MASK, torch.zeros(3), 0.2).any()


def test_surprisal_weighs_a_token_by_what_the_student_paid_for_it():
    logps = torch.tensor([[-0.5, -2.0, -9.0], [-0.5, -1.5, -1.0]], requires_grad=True)
    mask, advantage = torch.tensor([[1, 1, 0], [1, 1, 1]]), torch.tensor([1.0, -2.0])
    found = evidence.surprisal(logps, advantage, mask)
    # Means 1.25 and 1: weights 0.4, 1.6 and 0.5, 1.5, 1, on either side of A.
    assert torch.allclose(objectives.evidence_weight(advantage, found, 0.99)[0, :2], torch.tensor([0.4, 1.6]))
    assert torch.allclose(objectives.evidence_weight(advantage, found, 0.99)[1], torch.tensor([0.5, 1.5, 1.0]))
    assert found[0, 2] == 0
    assert not found.requires_grad


def test_evidence_in_proportion_to_credit_is_bounded_as_the_teachers_is():
    # Mean sizes 0.2 and 0.3 (three tokens; the padded one does not count).
    credit = torch.tensor([[0.1, 0.2, 0.3, 9.0], [-0.6, 0.0, 0.3, 9.0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
    advantage = torch.tensor([2.0, -1.0])
    delta = evidence.in_proportion(credit, advantage, mask)
    found = objectives.rlsd_advantage(advantage, delta, 1.0, 0.2)[:, :3]
    # w = 0.5, 1, 1.5 → 0.8, 1, 1.2; and for A < 0 w = 2, 0, −1 → 1.2, 0.8, 0.8.
    assert torch.allclose(found, torch.tensor([[1.6, 2.0, 2.4], [-1.2, -0.8, -0.8]]))


def test_where_nothing_is_known_to_matter_evidence_in_proportion_says_nothing():
    delta = evidence.in_proportion(torch.zeros(2, 3), torch.tensor([1.0, -1.0]), torch.ones(2, 3))
    assert not delta.any()
