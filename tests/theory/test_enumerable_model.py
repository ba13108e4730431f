"""The enumerable model's bookkeeping: prefixes, completions, tables."""

import itertools

import pytest
import torch

from rlsd_cli.theory.model import (
    completions,
    prefix_count,
    prefix_probability,
    scatter_tokens,
    token_log_probs,
)
from rlsd_cli.theory.worlds import CITE, random_world, story_world

SIZES = [(2, 1), (2, 3), (3, 2), (5, 2), (4, 3)]


@pytest.mark.parametrize(("vocabulary", "horizon"), SIZES)
def test_prefixes_of_each_length_have_probability_one_in_all(vocabulary: int, horizon: int) -> None:
    world = random_world(0, vocabulary=vocabulary, horizon=horizon)
    visits = prefix_probability(world.log_student(), horizon)
    for length in range(horizon):
        part = visits[:, prefix_count(vocabulary, length) : prefix_count(vocabulary, length + 1)]
        assert torch.allclose(part.sum(-1), torch.ones(3, dtype=torch.float64), atol=1e-14)


@pytest.mark.parametrize(("vocabulary", "horizon"), SIZES)
def test_completions_are_all_sequences_with_the_prefix_of_each_token(vocabulary: int, horizon: int) -> None:
    prefixes, tokens = completions(vocabulary, horizon)
    assert tokens.tolist() == [list(word) for word in itertools.product(range(vocabulary), repeat=horizon)]
    number = {(): 0}  # prefixes numbered by length, then lexicographically
    for length in range(1, horizon):
        for word in itertools.product(range(vocabulary), repeat=length):
            number[word] = len(number)
    expected = [[number[tuple(row[:t])] for t in range(horizon)] for row in tokens.tolist()]
    assert prefixes.tolist() == expected


@pytest.mark.parametrize(("vocabulary", "horizon"), SIZES)
def test_probabilities_of_all_completions_sum_to_one(vocabulary: int, horizon: int) -> None:
    world = random_world(1, vocabulary=vocabulary, horizon=horizon)
    total = token_log_probs(world.log_student(), horizon).sum(-1).exp().sum(-1)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-13)


def test_scatter_sums_each_completions_value_into_the_cell_of_its_token() -> None:
    # Two tokens of two: completions 00, 01, 10, 11; prefixes (), 0, 1.
    values = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]], dtype=torch.float64)
    assert scatter_tokens(values, 2).tolist() == [[3.0, 12.0], [10.0, 20.0], [40.0, 80.0]]


def test_given_references_select_each_questions_own_evidence() -> None:
    world = random_world(2, references=3)
    chosen = torch.tensor([[0, 2, 1], [1, 1, 0]])
    taught = world.given(chosen).log_teacher()
    for copy in range(2):
        for question in range(3):
            expected = world.log_teacher()[question, :, chosen[copy, question]]
            assert torch.equal(taught[copy, question, :, 0], expected)


def test_every_reference_of_the_story_raises_the_citation_alike() -> None:
    world = story_world(0)
    raised = (world.log_teacher() - world.log_student().unsqueeze(-2))[:, 0, :, CITE]
    assert (raised.mean(0) > 0).all()
    # Alike up to the noise of 0.5 nats: no reference's mean over questions stands out.
    assert raised.mean(0).std() < 0.5
