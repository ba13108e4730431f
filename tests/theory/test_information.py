"""Theorem 1's quantities on distributions whose values are known by hand."""

import math

import pytest
import torch

from rlsd_cli.theory.information import distillation_loss, entropy, mixture, mutual_information, reducible_loss


def log(rows: list) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64).log()


HALF = torch.tensor([0.5, 0.5], dtype=torch.float64)


def test_two_references_that_fix_the_token_carry_one_bit() -> None:
    assert mutual_information(HALF, log([[1.0, 0.0], [0.0, 1.0]])).item() == pytest.approx(math.log(2), abs=1e-15)


def test_references_that_say_the_same_carry_nothing() -> None:
    assert mutual_information(HALF, log([[0.3, 0.7], [0.3, 0.7]])).item() == pytest.approx(0.0, abs=1e-15)


def test_a_single_reference_has_no_floor() -> None:
    only_first = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert mutual_information(only_first, log([[0.3, 0.7], [0.9, 0.1]])).item() == pytest.approx(0.0, abs=1e-15)


def test_mixture_is_the_weighted_mean_of_the_teachers() -> None:
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    assert torch.allclose(mixture(weights, log([[0.8, 0.2], [0.4, 0.6]])).exp(), log([0.5, 0.5]).exp(), atol=1e-15)


def test_loss_is_the_mean_forward_divergence() -> None:
    # ½·[0.8 ln(0.8/0.5) + 0.2 ln(0.2/0.5)] + ½·[0.4 ln(0.4/0.5) + 0.6 ln(0.6/0.5)]
    first = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    second = 0.4 * math.log(0.8) + 0.6 * math.log(1.2)
    loss = distillation_loss(HALF, log([[0.8, 0.2], [0.4, 0.6]]), log([0.5, 0.5]))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-15)


def test_reducible_loss_is_the_divergence_from_the_mean_teacher() -> None:
    # The mean teacher is (0.6, 0.4).
    expected = 0.6 * math.log(0.6 / 0.5) + 0.4 * math.log(0.4 / 0.5)
    reducible = reducible_loss(HALF, log([[0.8, 0.2], [0.4, 0.6]]), log([0.5, 0.5]))
    assert reducible.item() == pytest.approx(expected, abs=1e-15)


def test_entropy_takes_zero_times_log_zero_as_zero() -> None:
    assert entropy(log([1.0, 0.0])).item() == 0.0
