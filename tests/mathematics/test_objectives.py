"""objectives.py against numbers worked out by hand, slow references, and the properties the paper claims."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsd_cli import objectives

LOG2, LOG3 = math.log(2), math.log(3)


def slow_rlsd(advantage, delta, mix, epsilon_w):
    """Algorithm 1, line 17, one token at a time."""
    rows = []
    for a, row in zip(advantage, delta, strict=True):
        sign = (a > 0) - (a < 0)
        weights = [min(max(math.exp(sign * d), 1 - epsilon_w), 1 + epsilon_w) for d in row]
        rows.append([a * ((1 - mix) + mix * w) for w in weights])
    return torch.tensor(rows, dtype=torch.float64)


def test_group_advantage_by_hand():
    # Group 1: rewards 1, 0, 0, 1: mean 1/2, unbiased variance (4·1/4)/3 = 1/3, A = ±(1/2)/√(1/3) = ±0.8660254.
    # Group 2: all equal, so every A is 0.
    rewards = torch.tensor([1.0, 0, 0, 1, 1, 1, 1, 1], dtype=torch.float64)
    advantage = objectives.group_advantage(rewards, 4, epsilon=0.0)
    expected = torch.tensor([1.0, -1, -1, 1], dtype=torch.float64) * math.sqrt(3) / 2
    assert torch.allclose(advantage[:4], expected)
    assert torch.isnan(advantage[4:]).all()  # 0/0 without ε …
    assert torch.equal(objectives.group_advantage(rewards, 4)[4:], torch.zeros(4, dtype=torch.float64))  # … 0 with it


def test_group_of_one_has_no_advantage():
    assert torch.equal(objectives.group_advantage(torch.tensor([1.0, 0.0]), 1), torch.zeros(2))


def test_privileged_gain_is_the_difference_of_log_probs_on_tokens_only():
    teacher = torch.tensor([[-1.0, -2.0, -9.0]])
    student = torch.tensor([[-1.5, -1.0, -1.0]], requires_grad=True)
    gain = objectives.privileged_gain(teacher, student, torch.tensor([[1, 1, 0]]))
    assert torch.equal(gain, torch.tensor([[0.5, -1.0, 0.0]]))
    assert not gain.requires_grad


def test_evidence_weight_by_hand():
    # Δ = log 1.1: w = 1.1 for A > 0 and 1/1.1 for A < 0. Δ = log 2 is clipped to 1.2, or from 1/2 to 0.8.
    delta = torch.tensor([[math.log(1.1), LOG2]] * 3, dtype=torch.float64)
    weight = objectives.evidence_weight(torch.tensor([0.7, -0.7, 0.0], dtype=torch.float64), delta, 0.2)
    assert torch.allclose(weight, torch.tensor([[1.1, 1.2], [1 / 1.1, 0.8], [1, 1]], dtype=torch.float64))


@pytest.mark.parametrize("extreme", [1e4, -1e4, 88.0, -104.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_gain_meets_the_bound_not_infinity(extreme, dtype):
    delta = torch.full((2, 3), extreme, dtype=dtype)
    weight = objectives.evidence_weight(torch.tensor([1.0, -1.0], dtype=dtype), delta, 0.2)
    high, low = torch.tensor(1.2, dtype=dtype), torch.tensor(0.8, dtype=dtype)
    expected = [high, low] if extreme > 0 else [low, high]
    assert torch.equal(weight[:, 0], torch.stack(expected))


def test_rlsd_advantage_by_hand():
    # A = 2, λ = 1/2, ε_w = 0.2: Δ = log 1.1 gives 2·(1/2 + 1.1/2) = 2.1; Δ = log 3 gives 2·(1/2 + 1.2/2) = 2.2.
    # A = −2: w = 1/1.1 gives −2·(1/2 + 1/2.2); w = 1/3 is clipped to 0.8: −2·0.9 = −1.8.
    delta = torch.tensor([[math.log(1.1), LOG3]] * 2, dtype=torch.float64)
    result = objectives.rlsd_advantage(torch.tensor([2.0, -2.0], dtype=torch.float64), delta, 0.5, 0.2)
    assert torch.allclose(result, torch.tensor([[2.1, 2.2], [-1 - 1 / 1.1, -1.8]], dtype=torch.float64))


# Below the normal range a product underflows to 0, which says nothing about the equation.
floats = st.floats(-30, 30, allow_nan=False, allow_subnormal=False, width=64)


@given(
    st.lists(st.tuples(st.floats(-5, 5, width=64), st.lists(floats, min_size=3, max_size=3)), min_size=1, max_size=4),
    st.floats(0, 1),
    st.floats(0, 0.99),
)
@settings(max_examples=200, deadline=None)
def test_rlsd_advantage_equals_the_slow_reference(rows, mix, epsilon_w):
    advantage = [a for a, _ in rows]
    delta = [d for _, d in rows]
    fast = objectives.rlsd_advantage(
        torch.tensor(advantage, dtype=torch.float64), torch.tensor(delta, dtype=torch.float64), mix, epsilon_w
    )
    assert torch.allclose(fast, slow_rlsd(advantage, delta, mix, epsilon_w), atol=1e-12)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=8), st.floats(0, 1), st.floats(0, 0.99))
@settings(max_examples=200, deadline=None)
def test_advantage_keeps_the_sign_of_the_environment_and_its_bounds(rows, mix, epsilon_w):
    advantage = torch.tensor([a for a, _ in rows], dtype=torch.float64)
    delta = torch.tensor([[d] for _, d in rows], dtype=torch.float64)
    result = objectives.rlsd_advantage(advantage, delta, mix, epsilon_w).squeeze(1)
    assert torch.equal(torch.sign(result), torch.sign(advantage))
    ratio = result[advantage != 0] / advantage[advantage != 0]
    assert (ratio >= 1 - mix * epsilon_w - 1e-9).all()
    assert (ratio <= 1 + mix * epsilon_w + 1e-9).all()


def test_mix_zero_is_grpo_to_the_bit():
    advantage = torch.randn(64)
    delta = torch.randn(64, 50) * 10
    assert torch.equal(objectives.rlsd_advantage(advantage, delta, 0.0, 0.2), advantage.unsqueeze(1).expand(64, 50))


def test_negative_only_leaves_right_answers_alone():
    delta = torch.full((2, 2), LOG2)
    result = objectives.rlsd_advantage(torch.tensor([1.0, -1.0]), delta, 1.0, 0.2, negative_only=True)
    assert torch.allclose(result, torch.tensor([[1.0, 1.0], [-0.8, -0.8]]))


def test_renormalised_weights_have_mean_one_over_the_tokens_of_a_completion():
    # Weights 1.2 and 0.8 on the two tokens have mean 1 already; 1.2 and 1.1 become 1.2/1.15 and 1.1/1.15.
    delta = torch.tensor([[LOG2, -LOG2, 5.0], [LOG2, math.log(1.1), 5.0]], dtype=torch.float64)
    mask = torch.tensor([[1, 1, 0], [1, 1, 0]])
    advantage = torch.ones(2, dtype=torch.float64)
    result = objectives.rlsd_advantage(advantage, delta, 1.0, 0.2, renormalise=True, mask=mask)
    expected = torch.tensor([[1.2, 0.8], [1.2 / 1.15, 1.1 / 1.15]], dtype=torch.float64)
    assert torch.allclose(result[:, :2], expected)


def test_renormalising_without_a_mask_is_refused():
    with pytest.raises(ValueError, match="mask"):
        objectives.rlsd_advantage(torch.ones(1), torch.ones(1, 1), 1.0, 0.2, renormalise=True)


def test_a_token_is_clipped_where_its_weight_leaves_the_range():
    # Row 1 (A > 0): exponents log 2 (clipped above), 0, −log 2 (below). Row 2 has A = 0, so weight 1. Row 3 has A < 0
    # and Δ = log 2, so exponent −log 2 (below).
    delta = torch.tensor([[LOG2, 0, -LOG2], [LOG2, LOG2, LOG2], [LOG2, 0, 0]])
    low, high = objectives.clipped(torch.tensor([1.0, 0.0, -1.0]), delta, 0.2)
    assert low.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert high.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(("step", "expected"), [(1, 0.49), (25, 0.25), (50, 0.0), (51, 0.0), (200, 0.0)])
def test_linear_decay_follows_the_paper(step, expected):
    assert objectives.linear_decay(step, 0.5, 50) == pytest.approx(expected)


def test_no_decay_keeps_the_mix():
    assert objectives.linear_decay(10_000, 0.5, 0) == 0.5


def test_means_leave_padding_out():
    values = torch.tensor([[1.0, 3.0, 100.0], [5.0, 100.0, 100.0]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert objectives.sequence_mean(values, mask).item() == 3.5  # (2+5)/2


def test_an_empty_completion_counts_as_zero():
    values = torch.tensor([[4.0], [100.0]])
    assert objectives.sequence_mean(values, torch.tensor([[1], [0]])).item() == 2.0
