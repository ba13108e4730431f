"""Sampling, and the probe's scores against plain forward passes."""

import math

import pytest
import torch

from rlsd_cli.generation.sample import encode, sample
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.probe import Probe, correlation, others_references, score


@pytest.fixture
def parts(tiny_config):
    config = tiny_config("grpo")
    return config, load_model(config.model).eval(), load_tokenizer(config.model.path)


def test_padding_is_on_the_left_and_masked(parts):
    _, _, tokenizer = parts
    ids, mask = encode(tokenizer, ["question 1 + 1 ?", "question 1 + 1 + 1 ?"])
    assert mask.tolist() == [[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]]
    assert (ids[0, :2] == tokenizer.pad_token_id).all()


def test_a_completion_ends_with_its_first_end_token(parts):
    _, model, tokenizer = parts
    torch.manual_seed(0)
    samples = sample(model, tokenizer, ["question 1 + 1 ?"] * 64, max_new_tokens=30)
    end = tokenizer.eos_token_id
    for ids, mask, truncated in zip(samples.completion_ids, samples.completion_mask, samples.truncated, strict=True):
        kept = ids[mask.bool()].tolist()
        assert mask.tolist() == sorted(mask.tolist(), reverse=True)
        assert truncated == (end not in kept)
        assert end not in kept[:-1]
    assert 0 < sum(samples.truncated) < 64
    assert not any("<" in text for text in samples.texts if "<unk>" not in text)


def test_greedy_samples_are_the_argmax_of_plain_logits(parts):
    _, model, tokenizer = parts
    prompt = "question 3 + 4 ?"
    samples = sample(model, tokenizer, [prompt], max_new_tokens=5, greedy=True)
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    for _ in range(int(samples.completion_mask.sum())):
        ids = torch.cat([ids, model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert ids[0, 5:].tolist() == samples.completion_ids[0][samples.completion_mask[0].bool()].tolist()


def test_batching_and_padding_do_not_change_greedy_completions(parts):
    _, model, tokenizer = parts
    prompts = ["question 3 + 4 ?", "question 1 * 2 - 3 + 4 * 5 ?", "question 9 - 9 * 2 ?"]
    together = sample(model, tokenizer, prompts, max_new_tokens=8, greedy=True).texts
    alone = [sample(model, tokenizer, [prompt], max_new_tokens=8, greedy=True).texts[0] for prompt in prompts]
    assert together == alone


def test_scores_equal_plain_forward_passes_row_by_row(parts):
    _, model, tokenizer = parts
    task = ArithmeticTask()
    examples = [task.train_example(0, index) for index in range(3)]
    torch.manual_seed(1)
    samples = sample(model, tokenizer, [example.prompt for example in examples], max_new_tokens=9)
    opened = [task.teacher_prompt(example.prompt, example.solution) for example in examples]
    scores = score(model, samples, *encode(tokenizer, opened), temperature=1.0)
    for row, example in enumerate(examples):
        completion = samples.completion_ids[row][samples.completion_mask[row].bool()]
        length = len(completion)

        def log_probs(prompt, completion=completion, length=length):
            ids = torch.cat([tokenizer(prompt, return_tensors="pt")["input_ids"][0], completion]).unsqueeze(0)
            return torch.log_softmax(model(input_ids=ids).logits[0, -length - 1 : -1], -1)

        closed, open_book = log_probs(example.prompt), log_probs(opened[row])
        at = completion.unsqueeze(1)
        expected = {
            "delta": (open_book - closed).gather(1, at).squeeze(1),
            "entropy": -(closed.exp() * closed).sum(1),
            "kl_forward": (open_book.exp() * (open_book - closed)).sum(1),
            "kl_reverse": (closed.exp() * (closed - open_book)).sum(1),
        }
        for name, values in expected.items():
            found = getattr(scores, name)[row]
            assert torch.allclose(found[:length], values, atol=1e-5), name
            assert not found[length:].any()


def test_a_probe_leaves_weights_mode_and_randomness_alone(parts, tmp_path):
    config, model, tokenizer = parts
    context = RunContext(config, RunDir(tmp_path), ArithmeticTask(), model, tokenizer, None)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    state = torch.get_rng_state()
    probe = Probe(context)
    first = probe.run(model, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert probe.run(model, 2) == first
    assert probe.run(model, 4)["probe/entropy"] != first["probe/entropy"]


def test_probe_prompts_are_in_no_runs_training_stream():
    task = ArithmeticTask()
    probes = {task.train_example(-1, index).prompt for index in range(16)}
    assert all(task.train_example(seed, index).prompt not in probes for seed in range(5) for index in range(3200))


def test_the_placebo_is_the_next_different_reference():
    assert others_references(["a", "a", "b", "c"]) == ["b", "b", "c", "a"]
    assert others_references(["a", "a"]) == ["a", "a"], "there is no other"


def test_correlation_by_hand():
    # (1, 2, 3) with (2, 4, 6), with (6, 4, 2), and with what does not vary.
    one = torch.tensor([1.0, 2.0, 3.0])
    assert correlation(one, 2 * one) == pytest.approx(1.0)
    assert correlation(one, 8 - 2 * one) == pytest.approx(-1.0)
    assert math.isnan(correlation(one, torch.ones(3)))
