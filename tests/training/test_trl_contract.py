"""What we take from TRL's private interface; if a new TRL breaks one of these, our overrides need another look."""

import pytest
import torch
import trl
from trainers import one_batch, reward_even_length


def test_the_pinned_series_is_installed():
    assert trl.__version__.startswith("1.16.")


def test_the_batch_holds_the_keys_that_we_read(tiny_trainer):
    _, batch = one_batch(tiny_trainer("grpo"))
    assert {
        "prompt_ids",
        "prompt_mask",
        "completion_ids",
        "completion_mask",
        "advantages",
        "num_items_in_batch",
    } <= set(batch)
    assert batch["prompt_ids"].shape == batch["prompt_mask"].shape
    assert batch["completion_ids"].shape == batch["completion_mask"].shape
    assert batch["advantages"].shape == (8,)


@pytest.mark.parametrize("aggregation", ["sequence", "token"])
def test_token_advantages_of_equal_value_give_the_loss_of_sequence_advantages(tiny_trainer, aggregation):
    trainer = reward_even_length(tiny_trainer("grpo", {"train": {"aggregation": aggregation}}))
    _, batch = one_batch(trainer)
    plain = trainer._compute_loss(trainer.model, batch)
    spread = dict(batch, advantages=batch["advantages"].unsqueeze(1).expand(batch["completion_ids"].shape))
    assert trainer._compute_loss(trainer.model, spread).item() == plain.item()


def test_prompts_are_the_same_for_every_arm_and_in_the_order_of_the_data(tiny_trainer):
    seen = []
    for method in ("grpo", "opsd"):
        trainer = tiny_trainer(method, folder=method)
        seen.append([[row["prompt_id"] for row in rows] for rows in trainer.get_train_dataloader()])
    assert seen[0] == seen[1]
    first = [f"train-0-{index}" for index in (0, 1) for _ in range(4)]
    assert seen[0][0] == first
    assert len(seen[0]) == 3


def test_the_loss_is_zero_gradient_where_all_rewards_are_equal(tiny_trainer):
    trainer = tiny_trainer("grpo")  # a random model answers nothing right: every reward is 0
    _, batch = one_batch(trainer)
    assert not batch["advantages"].any()
    trainer.model.zero_grad()
    trainer._compute_loss(trainer.model, batch).backward()
    assert all(not parameter.grad.any() for parameter in trainer.model.parameters())


def test_padding_reaches_neither_loss_nor_metrics(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("rlsd", {"teacher": {"source": "online", "reference": "solution"}}))
    _, batch = one_batch(trainer)
    assert (batch["completion_mask"] == 0).any(), "the batch needs padding for this test"
    names = ("rlsd/delta_abs_mean", "rlsd/weight_mean", "teacher/kl", "entropy")

    def loss_and_metrics(inputs):
        trainer._metrics["train"].clear()
        loss = trainer._compute_loss(trainer.model, inputs).item()
        logged = trainer.means.take() | {"entropy": trainer._metrics["train"]["entropy"][0]}
        return [loss, *(logged[name] for name in names)]

    other = dict(batch, completion_ids=batch["completion_ids"].clone())
    other["completion_ids"][batch["completion_mask"] == 0] = 7
    assert torch.allclose(torch.tensor(loss_and_metrics(batch)), torch.tensor(loss_and_metrics(other)), atol=1e-7)
