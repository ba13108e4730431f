"""Which rollouts our decoding loop takes over from TRL, and that they are TRL's."""

import pytest
import torch
from trainers import history, one_batch, reward_even_length
from trl import GRPOTrainer

from rlsd_cli.training import fast_rollouts
from rlsd_cli.training.fast_rollouts import samples_plainly, through_first

PLAIN = {
    "max_new_tokens": 9,
    "do_sample": True,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": [1],
    "temperature": 0.7,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": None,
    "repetition_penalty": 1.0,
    "cache_implementation": None,
}


def test_the_settings_of_our_trainers_sample_plainly(tiny_trainer):
    assert samples_plainly(PLAIN)
    assert samples_plainly(tiny_trainer("grpo").generation_kwargs)


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_k", 5), ("top_p", 0.9), ("min_p", 0.1), ("repetition_penalty", 1.2), ("do_sample", False),
     ("cache_implementation", "static"), ("suppress_tokens", [3]), ("num_beams", 2)],
)  # fmt: skip
def test_any_other_setting_is_left_to_generate(name, value):
    assert not samples_plainly({**PLAIN, name: value})


def test_tokens_after_the_first_end_are_cut():
    assert through_first([5, 1, 0, 1], {1, 2}) == [5, 1]
    assert through_first([5, 6], {1, 2}) == [5, 6]


@pytest.fixture
def decoded(monkeypatch):
    """The calls of our loop."""
    calls = []
    real = fast_rollouts.decode
    monkeypatch.setattr(fast_rollouts, "decode", lambda *args, **kwargs: calls.append(1) or real(*args, **kwargs))
    return calls


def test_three_steps_equal_those_with_generate(tiny_trainer, decoded, monkeypatch):
    ours = history(reward_even_length(tiny_trainer("grpo", folder="ours")))
    assert len(decoded) == 3
    monkeypatch.setattr(fast_rollouts, "samples_plainly", lambda settings: False)
    theirs = history(reward_even_length(tiny_trainer("grpo", folder="theirs")))
    assert len(decoded) == 3
    assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), atol=1e-5)


def test_filtered_sampling_images_and_tools_call_trl(tiny_trainer, decoded, monkeypatch):
    seen = []
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", lambda self, *args: seen.append(args) or ([[1]], None))
    trainer = tiny_trainer("grpo")
    trainer._generate_single_turn([[2, 3]], ["a picture"], {}, 4)
    trainer._generate_single_turn([[2, 3]], None, {"pixel_values": 1}, 4)
    trainer.tools = [print]
    trainer._generate_single_turn([[2, 3]], None, {}, 4)
    trainer.tools = []
    trainer.generation_kwargs["top_k"] = 3
    trainer._generate_single_turn([[2, 3]], None, {}, 4)
    assert len(seen) == 4
    assert not decoded


def test_gradient_checkpointing_does_not_lose_the_cache(tiny_trainer, decoded):
    _, plain = one_batch(tiny_trainer("grpo", folder="plain"))
    _, saving = one_batch(tiny_trainer("grpo", {"train": {"gradient_checkpointing": True}}, folder="saving"))
    assert torch.equal(plain["completion_ids"], saving["completion_ids"])
    assert len(decoded) == 2


@pytest.mark.parametrize("changes", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_rollouts_are_drawn_from_the_tokens_that_the_configuration_leaves(tiny_trainer, changes):
    # One token is left at each step, so the rollouts of a question are equal; from the whole softmax they are not.
    def different(*layers):
        trainer = tiny_trainer("grpo", *layers, folder=f"{len(layers)}")
        rows, batch = one_batch(trainer)
        ids = batch["completion_ids"] * batch["completion_mask"]
        return len({(row["prompt_id"], *each.tolist()) for row, each in zip(rows, ids, strict=True)})

    assert different({"rollout": changes}) == 2, "two questions"
    assert different() > 4
