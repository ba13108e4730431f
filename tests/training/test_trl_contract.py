"""What we take from TRL's private interface; if a new TRL breaks one of these, our overrides need another look."""

import inspect
from pathlib import Path

import pytest
import torch
import trl
from trainers import one_batch, reward_even_length

from rlsd_cli.runs.checkpoints import is_intact, marker
from rlsd_cli.training.fast_rollouts import FastRolloutsMixin
from rlsd_cli.training.sft import ReferenceTrainer
from rlsd_cli.training.trainer import ArmTrainer

# Every method of TRL's that we override, and the parameters that we count on.
HOOKS = {
    "_compute_loss": ["model", "inputs"],
    "_get_per_token_logps_and_entropies": [
        *("model", "input_ids", "attention_mask", "logits_to_keep", "compute_entropy", "compute_aux_loss"),
    ],
    "_generate_and_score_completions": ["inputs"],
    "_generate_single_turn": ["prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images"],
    "create_model_card": ["model_name", "dataset_name", "tags"],
}
# What we call or set without overriding it.
USED = {"_tokenize_prompts": ["prompts"]}


def overridden(ours, theirs):
    return {name for name in vars(ours) if hasattr(theirs, name) and not name.startswith("__")}


def test_these_are_all_of_trls_methods_that_we_override():
    assert overridden(ArmTrainer, trl.GRPOTrainer) | overridden(FastRolloutsMixin, trl.GRPOTrainer) == set(HOOKS)
    assert overridden(ReferenceTrainer, trl.SFTTrainer) == {"create_model_card"}


@pytest.mark.parametrize(("name", "parameters"), (HOOKS | USED).items())
def test_their_signatures_are_those_that_we_count_on(name, parameters):
    found = [each for each in inspect.signature(getattr(trl.GRPOTrainer, name)).parameters if each != "self"]
    assert [each for each in found if each in parameters] == parameters
    if name in ("_compute_loss", "_generate_and_score_completions", "_generate_single_turn", "_tokenize_prompts"):
        assert found == parameters, "a new parameter that we would drop"


def test_the_loss_asks_for_the_students_log_probs_once_and_with_entropies_before_it_reads_advantages(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("grpo"))
    _, batch = one_batch(trainer)
    order = []

    class Watched(dict):
        def __getitem__(self, key):
            order.append(key)
            return super().__getitem__(key)

    scores = trl.GRPOTrainer._get_per_token_logps_and_entropies

    def watched(*args, **kwargs):
        order.append("log-probs")
        return scores(trainer, *args, **kwargs)

    trainer._get_per_token_logps_and_entropies = watched
    trl.GRPOTrainer._compute_loss(trainer, trainer.model, Watched(batch))
    assert order.count("log-probs") == 1
    assert order.index("log-probs") < order.index("advantages")


def test_the_reward_function_is_given_the_rows_columns_and_the_tokens(tiny_trainer):
    trainer = tiny_trainer("grpo")
    rows, batch = one_batch(trainer)
    record = trainer.reward.record
    assert record["prompt_id"] == [row["prompt_id"] for row in rows]
    lengths = batch["completion_mask"].sum(dim=1).tolist()
    assert [len(ids) for ids in record["completion_ids"]] == lengths == record["length"]


def test_sft_takes_its_solutions_in_the_order_of_the_data(tiny_trainer):
    trainer = tiny_trainer("sft")
    taken = [ids for batch in trainer.get_train_dataloader() for ids in batch["input_ids"].tolist()]
    expected = trainer.train_dataset["input_ids"]
    assert [row[: len(ids)] for row, ids in zip(taken, expected, strict=True)] == [list(ids) for ids in expected]


@pytest.mark.parametrize("method", ["sft", "grpo"])
def test_a_checkpoint_is_marked_after_its_last_file_and_brings_no_model_card(tiny_trainer, method):
    trainer = tiny_trainer(method)
    trainer.train()
    folder = Path(trainer.args.output_dir)
    checkpoint = folder / "checkpoint-2"
    assert is_intact(checkpoint)
    assert {"model.safetensors", "optimizer.pt", "trainer_state.json"} <= set(marker(checkpoint)["files"])
    assert not list(folder.rglob("README.md"))


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
