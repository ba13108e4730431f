"""Credit by resampled continuations, against processes whose values are known."""

import itertools

import pytest
import torch

from rlsd_cli.config.recipe import Recipe
from rlsd_cli.generation.continuations import (
    Begun,
    in_parts,
    model_sampler,
    resampled_credit,
    rows_of,
    step_end,
    steps_of,
)
from rlsd_cli.generation.sample import sample
from rlsd_cli.testbed.network import build_model, build_tokenizer

STEPS = 3
TOKENIZER = build_tokenizer()
GOOD, BAD, END, EOS = (TOKENIZER.convert_tokens_to_ids(word) for word in ("so", "then", ";", "<eos>"))


def completion(words):
    return [*[token for word in words for token in (word, END)][:-1], EOS]


def batch(rows):
    """Completions of ``rows`` (lists of GOOD and BAD) as (ids, mask, steps)."""
    ids = [torch.tensor(completion(row)) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=0)
    mask = (torch.arange(padded.size(1)) < torch.tensor([len(row) for row in ids])[:, None]).long()
    return padded, mask, steps_of(padded, mask, lambda token: token == END)


class Enumerated:
    """A policy that writes three steps, each good with probability ¼: its "samples" are all 64 thirds, evenly."""

    def __init__(self):
        self.asked = []

    def __call__(self, begun, count):
        assert count == 4**STEPS
        self.asked += begun
        found = []
        for each in begun:
            left = STEPS - sum(token == END for token in each.tokens)
            drawn = itertools.product([GOOD, BAD, BAD, BAD], repeat=STEPS)
            found += [completion(words[STEPS - left :]) for words in drawn]
        return found


def judge(rows, completions):
    """All good, or only the last one bad: then half a reward."""
    words = [[token for token in each if token in (GOOD, BAD)] for each in completions]
    return [{(GOOD,) * 3: 1.0, (GOOD, GOOD, BAD): 0.5}.get(tuple(each), 0.0) for each in words]


def credit(words, rewards, questions=None, **more):
    ids, mask, steps = batch(words)
    sampler = Enumerated()
    asked = questions or ["q"] * len(words)
    found = resampled_credit(
        ids, mask, steps, rewards, asked, go_on=sampler, judge=judge, continuations=4**STEPS, **more
    )
    return found, sampler.asked


def test_a_steps_advantage_is_the_gain_in_the_expected_reward_by_enumeration():
    found, _ = credit([[GOOD] * 3, [GOOD, BAD, GOOD], [GOOD, GOOD, BAD]], [1.0, 0.0, 0.5])
    # By hand. After two good steps: ¼·1 + ¾·½ = 0.625; after one: ¼ of that; before: 1/16 of it. A bad step before the
    # last one leaves nothing.
    two, one, none = 0.625, 0.15625, 0.0390625
    assert found.values == [
        pytest.approx([none, one, two, 1.0]),
        pytest.approx([none, one, 0, 0]),
        pytest.approx([none, one, two, 0.5]),
    ]
    # Tokens: word and separator of each step; the last one ends with <eos>.
    steps = torch.tensor([0, 0, 1, 1, 2, 2])
    assert torch.equal(found.steps, torch.stack([steps] * 3))
    gains = [[one - none, two - one, 1 - two], [one - none, -one, 0], [one - none, two - one, 0.5 - two]]
    assert torch.allclose(found.advantages, torch.tensor(gains)[:, steps])


def test_advantages_add_up_to_the_reward_minus_the_prompts_value():
    rewards = [1.0, 0.0, 0.5]
    found, _ = credit([[GOOD] * 3, [BAD] * 3, [GOOD, GOOD, BAD]], rewards)
    firsts = [0, 2, 4]
    assert found.advantages[:, firsts].sum(dim=1).tolist() == pytest.approx([reward - 0.0390625 for reward in rewards])


def test_a_prefix_that_completions_of_a_question_share_is_valued_once():
    found, asked = credit([[GOOD] * 3] * 5, [1.0] * 5)
    assert len(asked) == found.prefixes == STEPS
    found, asked = credit([[GOOD] * 3] * 5, [1.0] * 5, questions=["a", "a", "a", "b", "b"])
    assert len(asked) == found.prefixes == 2 * STEPS


def test_rows_left_out_cost_nothing_and_get_nothing():
    found, asked = credit([[GOOD] * 3, [BAD] * 3], [1.0, 0.0], rows=[False, True])
    assert {each.row for each in asked} == {1}
    assert not found.advantages[0].any()
    assert found.advantages[1].any()
    assert found.values[0] == []


def test_padding_gets_no_credit():
    found, _ = credit([[GOOD], [GOOD] * 3], [1.0, 1.0])
    assert found.advantages[0, 2:].tolist() == [0.0] * 4
    assert len(found.values[0]) == 2


def test_a_separator_belongs_to_the_step_that_it_ends():
    ids = torch.tensor([[1, 2, 9, 3, 9, 4]])
    assert steps_of(ids, torch.ones_like(ids), lambda token: token == 9).tolist() == [[0, 0, 0, 1, 1, 2]]


def test_of_too_many_steps_neighbours_are_taken_together_and_padding_has_none():
    ids = torch.tensor([[1, 9] * 5 + [7, 9], [1, 9, 1, 9, 1, 4, 0, 0, 0, 0, 9, 9]])
    mask = (ids != 0).long()
    mask[1, 6:] = 0
    found = steps_of(ids, mask, lambda token: token == 9, most=3)
    assert found[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]  # six steps, two by two
    assert found[1].tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0]


class Decoder:
    """Decodes a token to a text of the test's."""

    def __init__(self, *texts):
        self.texts = texts

    def decode(self, tokens, skip_special_tokens):
        return self.texts[tokens[0]]


@pytest.mark.parametrize(
    ("texts", "separator", "expected"),
    [
        (("a", ".\n", ".", ";"), None, [False, True, False, False]),  # lines, where there are some
        (("a", " b.", "?", ";"), None, [False, True, True, True]),  # else sentences
        (("a", " ;", ".\n", ";"), ";", [False, True, False, True]),  # what the task says goes first
    ],
)
def test_steps_end_where_the_task_says_else_at_lines_else_at_sentences(texts, separator, expected):
    ids = torch.arange(len(texts))
    ends = step_end(Decoder(*texts), separator, ids)
    assert [ends(token) for token in ids.tolist()] == expected


def test_parts_keep_the_order_and_cut_at_the_budget():
    begun = [Begun(0, [1] * 3), Begun(1, []), Begun(2, [1])]
    sizes = []

    def part(some, count):
        sizes.append([len(each.tokens) for each in some])
        return [[10 * each.row + number] * 4 for each in some for number in range(count)]

    found = in_parts(begun, 2, part, budget=5, size=4)
    assert sizes == [[0, 1], [3]]  # the shortest together
    assert found == [[0] * 2, [1] * 2, [10] * 4, [11] * 4, [20] * 4, [21] * 4]


def test_a_model_continues_prefixes_of_different_prompts_as_it_would_have_gone_on():
    """Greedy in effect: a sharp model's continuation of its own prefix is the rest of its completion."""
    torch.manual_seed(0)
    model = build_model(Recipe(width=32, layers=1, heads=2)).eval()
    prompts = ["question 1 + 1 ?", "question 1 + 1 * 2 - 3 ?"]
    cold = 1e-4
    samples = sample(model, TOKENIZER, prompts, max_new_tokens=10, temperature=cold)
    whole = rows_of(samples.completion_ids, samples.completion_mask)
    begun = [Begun(1, whole[1][:4]), Begun(0, []), Begun(0, whole[0][:7]), Begun(1, whole[1][:2])]
    go_on = model_sampler(model, TOKENIZER, prompts, max_new_tokens=10, temperature=cold)
    found = go_on(begun, 3)
    expected = [whole[each.row][len(each.tokens) :] for each in begun for _ in range(3)]
    assert found == expected


def test_a_models_values_are_its_own_probabilities():
    """One token of budget left: the value of a prefix is the probability of the rewarded token, by brute force."""
    torch.manual_seed(1)
    model = build_model(Recipe(width=16, layers=1, heads=2)).eval()
    prompt = "question 1 + 1 ?"
    ids = torch.tensor([[GOOD, END, BAD]])
    steps = steps_of(ids, torch.ones_like(ids), lambda token: token == END)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*TOKENIZER(prompt)["input_ids"], GOOD, END]])).logits[0, -1]
    likely = int(logits.argmax())
    exact = logits.softmax(0)[likely].item()
    found = resampled_credit(
        ids,
        torch.ones_like(ids),
        steps,
        [0.0],
        ["q"],
        go_on=model_sampler(model, TOKENIZER, [prompt], max_new_tokens=3),
        judge=lambda rows, completions: [float(each[2:3] == [likely]) for each in completions],
        continuations=4000,
    )
    error = (exact * (1 - exact) / 4000) ** 0.5
    assert found.values[0][1] == pytest.approx(exact, abs=4 * error)
