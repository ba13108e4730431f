"""Our forward and backward passes of small models against transformers' and TRL's."""

import copy

import pytest
import torch
from trainers import history, reward_even_length
from transformers import Qwen3Config, Qwen3ForCausalLM

from rlsd_cli.training import small
from rlsd_cli.training.small import Reading, hidden_states, reads_small, token_scores

SIZES = {
    "vocab_size": 11,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 2,  # its embedding has no gradient
    "initializer_range": 0.3,  # far from uniform: a wrong distribution must show
}
# Prompts of 4, 2 and 3 tokens for groups of 2, 4 and 2 rows.
PROMPTS = torch.tensor([[3, 4, 8, 9]] * 2 + [[0, 0, 5, 6]] * 4 + [[0, 7, 2, 4]] * 2)
MASK = torch.tensor([[1, 1, 1, 1]] * 2 + [[0, 0, 1, 1]] * 4 + [[0, 1, 1, 1]] * 2)


@pytest.fixture
def model():
    """A small random model with norms away from 1."""
    torch.manual_seed(5)
    model = Qwen3ForCausalLM(Qwen3Config(**SIZES))
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    return model


def theirs(model, prompts, mask, completion):
    whole = torch.cat([mask, torch.ones_like(completion)], dim=1)
    output = model(torch.cat([prompts, completion], dim=1), attention_mask=whole, output_hidden_states=True)
    return output.hidden_states[-1][:, -completion.size(1) - 1 : -1]


@pytest.mark.parametrize("rows", [slice(None), slice(0, 2), slice(1, 8)], ids=["groups", "unpadded", "odd"])
def test_hidden_states_and_gradients_equal_transformers(model, rows):
    prompts, mask = PROMPTS[rows], MASK[rows]
    torch.manual_seed(0)
    completion = torch.randint(2, 11, (len(prompts), 6))
    toward = torch.randn(len(prompts), 6, 32)
    exact = copy.deepcopy(model).double()
    (theirs(exact, prompts, mask, completion) * toward).sum().backward()
    (hidden_states(model, prompts, mask, completion) * toward).sum().backward()
    for (name, ours), wanted in zip(model.named_parameters(), exact.parameters(), strict=True):
        if name != "lm_head.weight":
            assert torch.allclose(ours.grad, wanted.grad.float(), rtol=1e-4, atol=1e-5 * wanted.grad.abs().max()), name
    with torch.no_grad():
        found = hidden_states(model, prompts, mask, completion)
        assert torch.allclose(found, theirs(exact, prompts, mask, completion).float(), atol=1e-5)


def test_equal_prompts_side_by_side_are_read_once_in_the_largest_equal_numbers():
    reading = Reading(PROMPTS, MASK, torch.ones(8, 3, dtype=torch.long))
    assert reading.group == 2
    assert reading.prompts[:, -1].tolist() == [9, 6, 6, 4]
    # The same tokens as padding and as text are two prompts.
    assert Reading(PROMPTS[2:6], torch.tensor([[0, 0, 1, 1]] * 2 + [[0, 1, 1, 1]] * 2), PROMPTS[2:6]).group == 2


def test_what_follows_the_end_of_a_completion_changes_nothing_before_it(model):
    completion = torch.randint(2, 11, (8, 6))
    other = completion.clone()
    other[:, 4:] = 3
    with torch.no_grad():
        one, two = (hidden_states(model, PROMPTS, MASK, tokens) for tokens in (completion, other))
    assert torch.allclose(one[:, :5], two[:, :5], atol=1e-6)


def test_scores_are_the_log_probs_at_the_temperature_and_the_entropy_and_0_on_padding(model):
    hidden = torch.randn(2, 3, 32)
    completion, mask = torch.tensor([[4, 5, 6], [7, 1, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    logps, entropy = token_scores(model, hidden, completion, mask, temperature=0.7)
    probabilities = torch.softmax(model.lm_head(hidden) / 0.7, dim=-1)
    assert logps[0, 1].item() == pytest.approx(probabilities[0, 1, 5].log().item(), abs=1e-6)
    assert entropy[1, 0].item() == pytest.approx(torch.distributions.Categorical(probabilities[1, 0]).entropy().item())
    assert logps[1, 2] == entropy[1, 2] == 0


@pytest.mark.parametrize(
    ("method", "layer"),
    [
        ("grpo", {}),
        ("rlsd", {"teacher": {"source": "frozen", "reference": "solution"}, "train": {"temperature": 0.8}}),
        ("rlsd", {"teacher": {"source": "online"}, "train": {"aggregation": "token"}}),
        ("opsd", {"teacher": {"source": "ema"}}),
        ("sdpo", {}),
    ],
)
def test_three_steps_equal_those_of_trls_passes(tiny_trainer, monkeypatch, method, layer):
    keys = ("loss", "grad_norm", "reward", "entropy", "completions/mean_length")
    trainer = reward_even_length(tiny_trainer(method, layer, folder="ours"))
    assert reads_small(trainer, trainer.model, 2)
    ours = history(trainer, keys)
    monkeypatch.setattr(small, "can_fuse", lambda model: False)
    trls = history(reward_even_length(tiny_trainer(method, layer, folder="theirs")), keys)
    assert torch.allclose(torch.tensor(ours), torch.tensor(trls), atol=1e-5)
    assert all(line[1] > 0 for line in ours)


def test_checkpointing_and_mixed_precision_and_single_tokens_stay_with_trl(tiny_trainer):
    trainer = tiny_trainer("grpo")
    assert reads_small(trainer, trainer.model, 5)
    assert not reads_small(trainer, trainer.model, 1)
    assert not reads_small(trainer, torch.nn.DataParallel(trainer.model), 5)
    trainer.model.train()
    trainer.model.gradient_checkpointing_enable()
    assert not reads_small(trainer, trainer.model, 5)
    assert not reads_small(
        tiny_trainer("grpo", {"model": {"dtype": "bfloat16"}}, folder="low"), trainer.model.eval(), 5
    )
