"""Operations counted by formula against PyTorch's counter, and against sums by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3ForCausalLM

from scripts.bench.flops import Shapes, Sizes, decoding, forward, step_work

CONFIG = {
    "vocab_size": 17,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "attn_implementation": "eager",  # the counter knows no CPU kernel of fused attention
}


@pytest.fixture(scope="module")
def model():
    return Qwen3ForCausalLM(Qwen3Config(**CONFIG))


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (3, 7), (5, 20)])
def test_a_forward_pass_counts_what_pytorch_counts(model, rows, length):
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(rows, length, dtype=torch.long))
    assert forward(Sizes.of(model.config), rows, length, rows * length) == counter.get_total_flops()


def test_the_backward_pass_counts_twice_the_forward_pass(model):
    shapes = Shapes(rows=3, prompts=3, prompt=0, completion=9, sampled=False)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(3, 9, dtype=torch.long)).logits.sum().backward()
    work = step_work(Sizes.of(model.config), shapes)
    assert work.student + work.update == counter.get_total_flops()
    assert work.rollout == work.teacher == 0.0


def test_sampling_counts_a_prompt_once_and_each_token_once(model):
    """The operations of the passes that our decoder makes, one by one: 2 prompts of 5 tokens, 6 rows, 4 tokens."""
    shapes = Shapes(rows=6, prompts=2, prompt=5, completion=4)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = model(input_ids=torch.ones(2, 5, dtype=torch.long), use_cache=True, logits_to_keep=1)
        cache = output.cache
        cache.batch_repeat_interleave(3)
        for _ in range(3):
            model(input_ids=torch.ones(6, 1, dtype=torch.long), cache=cache, use_cache=True)
    assert decoding(Sizes.of(model.config), shapes) == counter.get_total_flops()


def test_a_teacher_adds_a_pass_over_its_own_prompt(model):
    sizes = Sizes.of(model.config)
    without = step_work(sizes, Shapes(rows=4, prompts=2, prompt=5, completion=6))
    with_teacher = step_work(sizes, Shapes(rows=4, prompts=2, prompt=5, completion=6, teacher_prompt=9))
    assert without.teacher == 0.0
    assert with_teacher.teacher == forward(sizes, 4, 15, 24)
    assert (with_teacher.student, with_teacher.rollout) == (without.student, without.rollout)
