"""RLSD's three isolations as properties, and what they leave of the direction of the sum."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsd_cli.objectives import privileged_gain, rlsd_advantage
from rlsd_cli.theory.credit_checks import direction_checks, isolations, study_direction
from rlsd_cli.theory.direction import coherence, cosine, guaranteed_cosine, rlsd_gradient, sample_cases, turn_away
from rlsd_cli.theory.majority import position_gradient, random_cosines, signal_per_token, worst_cosine

# Subnormal advantages underflow to 0 in any product; no group of rewards gives one.
ADVANTAGE = st.floats(-1e3, 1e3, allow_subnormal=False)
GAIN = st.floats(-1e4, 1e4)
MIX, EPSILON = st.floats(0, 1), st.floats(0, 0.99)


def credit(advantage: float, gain: float, mix: float, epsilon: float) -> float:
    pair = torch.tensor([[advantage], [gain]], dtype=torch.float64)
    return rlsd_advantage(pair[0], pair[1:], mix, epsilon).item()


@settings(max_examples=300, deadline=None)
@given(ADVANTAGE, GAIN, MIX, EPSILON)
def test_credit_keeps_the_sign_of_the_environment(advantage: float, gain: float, mix: float, epsilon: float) -> None:
    assert np.sign(credit(advantage, gain, mix, epsilon)) == np.sign(advantage)


@settings(max_examples=300, deadline=None)
@given(ADVANTAGE, GAIN, MIX, EPSILON)
def test_credit_stays_within_the_clip_times_the_mixing_weight(
    advantage: float, gain: float, mix: float, epsilon: float
) -> None:
    off = abs(credit(advantage, gain, mix, epsilon) - advantage)
    assert off <= (mix * epsilon + 1e-12) * abs(advantage) * (1 + 1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), MIX, EPSILON)
def test_credit_reaches_only_sampled_tokens_and_never_the_teacher(seed: int, mix: float, epsilon: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 6, 9, generator=generator, dtype=torch.float64)
    table = logits.log_softmax(-1).requires_grad_(True)
    teacher = torch.randn(4, 6, 9, generator=generator, dtype=torch.float64).requires_grad_(True)
    tokens = torch.randint(9, (4, 6, 1), generator=generator)
    chosen = table.gather(2, tokens).squeeze(2)
    judged = teacher.log_softmax(-1).gather(2, tokens).squeeze(2)
    gain = privileged_gain(judged, chosen, torch.ones(4, 6))
    advantage = torch.randn(4, generator=generator, dtype=torch.float64)
    (rlsd_advantage(advantage, gain, mix, epsilon) * chosen).sum().backward()
    assert table.grad.scatter(2, tokens, 0.0).abs().max() == 0
    assert (table.grad.gather(2, tokens) != 0).all()
    assert teacher.grad is None


@settings(max_examples=200, deadline=None)
@given(ADVANTAGE, st.floats(-0.15, 0.15), MIX)
def test_within_the_clip_credit_is_grpo_plus_a_share_of_the_gain(advantage: float, gain: float, mix: float) -> None:
    linear = advantage + mix * abs(advantage) * gain
    assert abs(credit(advantage, gain, mix, 0.2) - linear) <= (0.6 * gain**2 + 1e-9) * abs(advantage)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 1), st.floats(0.01, 0.9), st.floats(0, 3))
def test_the_cosine_never_falls_below_the_guarantee(seed: int, mix: float, epsilon: float, spread: float) -> None:
    cases = sample_cases(20, seed, spread)
    assert (cosine(cases, mix, epsilon) >= guaranteed_cosine(coherence(cases), mix, epsilon) - 1e-9).all()


def test_summed_gradient_is_the_sum_of_credits_times_scores() -> None:
    cases = sample_cases(3, 0)
    expected = torch.zeros_like(cases.scores[:, 0, 0])
    for case, rollout, token in itertools.product(range(3), range(8), range(12)):
        one = rlsd_advantage(
            cases.advantage[case, rollout].view(1), cases.gain()[case, rollout, token].view(1, 1), 0.5, 0.2
        )
        expected[case] += one.item() * cases.scores[case, rollout, token]
    assert torch.allclose(rlsd_gradient(cases, 0.5, 0.2), expected, atol=1e-12)


def test_a_teacher_without_evidence_leaves_the_direction_alone() -> None:
    cases = sample_cases(20, 1)
    silent = replace(cases, evidence=torch.zeros_like(cases.evidence))
    assert torch.allclose(cosine(silent, 1.0, 0.2), torch.ones(20, dtype=torch.float64), atol=1e-12)


def test_the_search_finds_teachers_that_turn_the_gradient_further_than_random_ones() -> None:
    cases = sample_cases(20, 2)
    found = cosine(turn_away(cases, 1.0, 0.2, steps=60), 1.0, 0.2)
    assert found.median() < cosine(cases, 1.0, 0.2).median() - 0.02


def test_signal_per_token_is_the_share_of_evenly_split_others() -> None:
    # T = 5: the other four must split 2–2, C(4, 2)/2⁴ = 6/16; for long completions √(2/(πT)).
    assert signal_per_token(5) == pytest.approx(6 / 16, abs=1e-15)
    assert signal_per_token(1) == pytest.approx(1.0, abs=1e-15)
    assert signal_per_token(10_001) == pytest.approx(math.sqrt(2 / (math.pi * 10_001)), rel=1e-4)


@pytest.mark.parametrize("tokens", [1, 3, 5])
@pytest.mark.parametrize("teacher_good", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_closed_form_agrees_with_the_enumeration_of_all_completions(tokens: int, teacher_good: float) -> None:
    total = np.zeros(tokens)
    for signs in itertools.product([1.0, -1.0], repeat=tokens):
        advantage = torch.tensor([math.copysign(1.0, sum(signs))], dtype=torch.float64)
        probs = torch.tensor([teacher_good if sign > 0 else 1 - teacher_good for sign in signs], dtype=torch.float64)
        token_credit = rlsd_advantage(advantage, (2 * probs).log().unsqueeze(0), 0.5, 0.2)[0].numpy()
        total += token_credit * np.array(signs) / 2**tokens
    assert np.allclose(total, position_gradient(tokens, np.array(teacher_good), 0.5, 0.2), atol=1e-14)


def test_the_guarantee_is_attained_until_the_teacher_decides_the_sign() -> None:
    # 33 tokens: δ = 0.140 and κ = 0.1/0.140 = 0.715; the best split of 33 positions comes close to √(1−κ²).
    kappa = 0.1 / signal_per_token(33)
    assert worst_cosine(33, 0.5, 0.2) == pytest.approx(math.sqrt(1 - kappa**2), abs=2e-3)
    assert worst_cosine(33, 0.5, 0.2) >= math.sqrt(1 - kappa**2) - 1e-12
    # 65 tokens: δ = 0.099 < λε_w = 0.1.
    assert worst_cosine(65, 0.5, 0.2) == pytest.approx(-1.0, abs=1e-12)


def test_even_a_teacher_that_knows_nothing_turns_long_completions_away() -> None:
    short, long = (random_cosines(t, 0.5, 0.2, spread=0.5, teachers=50, seed=0) for t in (5, 1025))
    assert np.median(short) > 0.95
    assert np.median(long) < 0.4


def test_an_even_number_of_tokens_has_no_majority() -> None:
    with pytest.raises(ValueError, match="odd"):
        signal_per_token(4)


def test_isolations_hold_and_the_direction_study_says_where_the_anchor_fails() -> None:
    assert all(check.verdict == "holds" for check in isolations(2000, 3))
    checks = direction_checks(study_direction(3, count=200, teachers=20))
    assert checks[0].verdict == "holds"
    at = {check.quantity: check.measured for check in checks if "tokens" in check.quantity}
    assert at == {"least cosine at 65 tokens": pytest.approx(-1), "least cosine at 17 tokens": pytest.approx(-1)}
