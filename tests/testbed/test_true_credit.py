"""The positive control of credit: its bound by hand, and its trainer."""

import pytest
import torch
from trainers import one_batch, reward_even_length


def test_bounded_credit_is_grpos_advantage_within_the_clip():
    from scripts.testbed.true_credit_trainer import bounded

    # Mean sizes 0.2 and 0.3 (three tokens; the padded one does not count).
    credit = torch.tensor([[0.1, 0.2, 0.3, 9.0], [-0.6, 0.0, 0.3, 9.0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
    found = bounded(torch.tensor([2.0, -1.0]), credit, mask, 0.2)[:, :3]
    # w = 0.5, 1, 1.5 → 0.8, 1, 1.2; and for A < 0 w = 2, 0, −1 → 1.2, 0.8, 0.8.
    assert torch.allclose(found, torch.tensor([[1.6, 2.0, 2.4], [-1.2, -0.8, -0.8]]))


def test_a_completion_without_credit_keeps_its_advantages_sign():
    from scripts.testbed.true_credit_trainer import bounded

    found = bounded(torch.tensor([1.0, 0.0]), torch.zeros(2, 3), torch.ones(2, 3), 0.2)
    assert found.tolist() == [[pytest.approx(0.8)] * 3, [0.0] * 3]


@pytest.mark.parametrize("epsilon_w", [None, 0.2])
def test_the_trainer_puts_token_advantages_in_the_place_of_the_completions(tiny_trainer, epsilon_w):
    options = {"objective": {"continuations": 2, "epsilon_w": epsilon_w}}
    trainer = reward_even_length(tiny_trainer("scripts.testbed.true_credit", options))
    _, batch = one_batch(trainer)
    assert batch["advantages"].shape == batch["completion_ids"].shape
    assert (batch["advantages"] * (1 - batch["completion_mask"])).abs().sum() == 0
    trainer.train()
    assert trainer.state.global_step == 3
