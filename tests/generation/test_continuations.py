"""Credit by resampled continuations, against a process whose values are known."""

import pytest
import torch

from rlsd_cli.config.recipe import Recipe
from rlsd_cli.generation import continuations
from rlsd_cli.generation.continuations import resampled_credit, steps_of
from rlsd_cli.generation.sample import Samples
from rlsd_cli.testbed.network import build_model, build_tokenizer

STEPS = 3
TOKENIZER = build_tokenizer()
GOOD, BAD, END, PAD, EOS = (TOKENIZER.convert_tokens_to_ids(word) for word in ("so", "then", ";", "<pad>", "<eos>"))


def completion(words):
    return [*[token for word in words for token in (word, END)][:-1], EOS]


def batch(rows, prompt="question 1 + 1 ?"):
    """Samples with the completions of ``rows`` (lists of GOOD and BAD), after one prompt."""
    ids = [torch.tensor(completion(row)) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=PAD)
    prompts = torch.tensor([TOKENIZER(prompt)["input_ids"]] * len(rows))
    mask = (torch.arange(padded.size(1)) < torch.tensor([len(row) for row in ids])[:, None]).long()
    return Samples(prompts, torch.ones_like(prompts), padded, mask, TOKENIZER.batch_decode(ids), [False] * len(rows))


@pytest.fixture
def coins(monkeypatch):
    """A policy that writes three steps, each good with probability ½; returns the prefixes that it was asked for."""
    asked = []

    def complete(model, tokenizer, encoded, *, max_new_tokens, sampling):
        ids, mask, _ = encoded
        rows, prompt = [], len(TOKENIZER("question 1 + 1 ?")["input_ids"])
        for row, kept in zip(ids, mask, strict=True):
            prefix = row[kept.bool()].tolist()[prompt:]
            asked.append(tuple(prefix))
            left = STEPS - sum(token == END for token in prefix)
            words = [GOOD if torch.rand(()) < 0.5 else BAD for _ in range(left)]
            rows.append(torch.tensor(completion(words)))
        new = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
        kept = (torch.arange(new.size(1)) < torch.tensor([len(row) for row in rows])[:, None]).long()
        return Samples(ids, mask, new, kept, [], [])

    monkeypatch.setattr(continuations, "complete", complete)
    return asked


class FakeModel:
    device = "cpu"


def judge(rows, texts):
    return [float("then" not in text) for text in texts]


def credit(samples, rewards, count=600):
    torch.manual_seed(0)
    options = {"separators": [END], "continuations": count, "max_new_tokens": 8}
    return resampled_credit(FakeModel(), TOKENIZER, samples, torch.tensor(rewards), judge, **options)


def test_a_steps_advantage_is_the_gain_in_the_probability_of_success(coins):
    found = credit(batch([[GOOD] * 3, [GOOD, BAD, GOOD]]), [1.0, 0.0])
    # All good: 1/8 → 1/4 → 1/2 → 1. The bad second step takes 1/4 to 0, and nothing after it matters.
    assert found.values[0] == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1], abs=0.06)
    assert found.values[1] == pytest.approx([1 / 8, 1 / 4, 0, 0], abs=0.06)
    # Tokens: word and separator of each step; the last one ends with <eos>.
    steps = torch.tensor([0, 0, 1, 1, 2, 2])
    assert torch.equal(found.steps, torch.stack([steps, steps]))
    expected = torch.tensor([[1 / 8, 1 / 4, 1 / 2], [1 / 8, -1 / 4, 0]])[:, steps]
    assert torch.allclose(found.advantages, expected, atol=0.09)


def test_advantages_add_up_to_the_reward_minus_the_prompts_value(coins):
    samples = batch([[GOOD] * 3, [BAD] * 3, [GOOD, GOOD, BAD]])
    found = credit(samples, [1.0, 0.0, 0.0], count=8)
    for row, reward in enumerate([1.0, 0.0, 0.0]):
        firsts = [found.steps[row].tolist().index(step) for step in range(STEPS)]
        assert found.advantages[row, firsts].sum() == pytest.approx(reward - found.values[row][0], abs=1e-6)


def test_a_shared_prefix_is_valued_once(coins):
    credit(batch([[GOOD] * 3] * 5), [1.0] * 5, count=2)
    assert len(coins) == 2 * STEPS
    assert len(set(coins)) == STEPS


def test_padding_gets_no_credit(coins):
    found = credit(batch([[GOOD], [GOOD] * 3]), [1.0, 1.0], count=2)
    assert found.advantages[0, 2:].tolist() == [0.0] * 4
    assert len(found.values[0]) == 2


def test_a_separator_belongs_to_the_step_that_it_ends():
    assert steps_of(torch.tensor([[1, 2, 9, 3, 9, 4]]), [9]).tolist() == [[0, 0, 0, 1, 1, 2]]


def test_a_real_model_continues_left_padded_prefixes_of_different_prompts():
    torch.manual_seed(0)
    model = build_model(Recipe(width=32, layers=1, heads=2)).eval()
    prompts = TOKENIZER(["question 1 + 1 ?", "question 1 + 1 * 2 - 3 ?"], padding=True, return_tensors="pt")
    ids = torch.tensor([completion([GOOD, BAD]), completion([BAD, BAD])])
    samples = Samples(prompts["input_ids"], prompts["attention_mask"], ids, torch.ones_like(ids), ["", ""], [False] * 2)
    seen = []

    def judge(rows, texts):
        seen.extend(zip(rows, texts, strict=True))
        return [float(len(text.split()) > 6) for text in texts]

    options = {"separators": [END], "continuations": 3, "max_new_tokens": 10}
    found = resampled_credit(model, TOKENIZER, samples, torch.ones(2), judge, **options)
    assert len(seen) == 2 * 2 * 3
    assert sum(text.startswith("so ;") for row, text in seen if row == 0) >= 3
    assert sum(text.startswith("then ;") for row, text in seen if row == 1) >= 3
    assert all(0 <= value <= 1 for values in found.values for value in values)
