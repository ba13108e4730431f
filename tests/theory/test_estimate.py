"""Theorem 1 as an estimate: token terms from distributions, intervals over questions, priors over references."""

import math

import pytest
import torch

from rlsd_cli.errors import UserError
from rlsd_cli.statistics import t_interval
from rlsd_cli.tasks.arithmetic import ArithmeticTask, Wording
from rlsd_cli.tasks.base import Example
from rlsd_cli.theory.alignment import Rollouts, batch_cosines, over_batches
from rlsd_cli.theory.estimate import completion_means, join, summarise, token_terms
from rlsd_cli.theory.identities import decompose
from rlsd_cli.theory.model import completions
from rlsd_cli.theory.references import KINDS, believed_answers, kind_references
from rlsd_cli.theory.worlds import random_world


def random_terms(seed: int, marked: int = 0):
    """Return weights, teachers (6, 5, 3, 7) and students (6, 5, 7)."""
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(6, 5, 3, 7, generator=generator, dtype=torch.float64).log_softmax(-1)
    student = torch.randn(6, 5, 7, generator=generator, dtype=torch.float64).log_softmax(-1)
    return token_terms(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), teacher, student, marked)


def test_loss_is_reducible_part_plus_floor_at_every_token() -> None:
    terms = random_terms(0)
    assert (terms.loss - terms.reducible - terms.floor).abs().max() < 1e-10


def test_loss_is_the_weighted_mean_over_the_references_alone() -> None:
    terms = random_terms(1)
    weighted = terms.by_reference @ torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    assert torch.allclose(weighted, terms.loss, atol=1e-14)


def test_the_marked_part_obeys_the_chain_rule_of_divergences() -> None:
    # P̄_T = (0.5, 0.3, 0.2) against P_S = (0.2, 0.4, 0.4): "token 0 or not" is (0.5, 0.5) against (0.2, 0.8), and
    # given "not", which has probability 0.5, it is (0.6, 0.4) against (0.5, 0.5).
    teacher = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
    student = torch.tensor([0.2, 0.4, 0.4], dtype=torch.float64).log()
    terms = token_terms(torch.ones(1, dtype=torch.float64), teacher, student, 0)
    marked = 0.5 * math.log(0.5 / 0.2) + 0.5 * math.log(0.5 / 0.8)
    rest = 0.6 * math.log(0.6 / 0.5) + 0.4 * math.log(0.4 / 0.5)
    assert terms.marked_reducible.item() == pytest.approx(marked, abs=1e-14)
    assert terms.reducible.item() == pytest.approx(marked + 0.5 * rest, abs=1e-14)


def test_the_marked_part_is_a_part() -> None:
    for marked in range(7):
        terms = random_terms(2, marked)
        assert (terms.marked_floor > 0).all()
        assert (terms.marked_floor < terms.floor).all()
        assert (terms.marked_reducible < terms.reducible).all()


def test_references_that_cite_alike_put_nothing_of_the_citation_into_the_floor() -> None:
    teacher = torch.tensor([[0.4, 0.5, 0.1], [0.4, 0.1, 0.5]], dtype=torch.float64).log()
    student = torch.tensor([0.1, 0.45, 0.45], dtype=torch.float64).log()
    terms = token_terms(torch.tensor([0.5, 0.5], dtype=torch.float64), teacher, student, 0)
    assert terms.marked_floor.item() == pytest.approx(0.0, abs=1e-15)
    assert terms.floor.item() > 0.1
    assert terms.marked_reducible.item() > 0.2


def test_sampled_estimate_agrees_with_the_exact_terms_of_an_enumerable_model() -> None:
    world = random_world(3, questions=1, horizon=2, spread=1.0)
    exact = decompose(world, world.log_student(), world.log_teacher())
    prefixes, tokens = completions(world.vocabulary, 2)
    log_student, log_teacher = world.log_student()[0], world.log_teacher()[0]
    probs = log_student[prefixes, tokens].sum(1).exp()
    drawn = torch.multinomial(probs, 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    terms = token_terms(world.references[0], log_teacher[prefixes[drawn]], log_student[prefixes[drawn]], 0)
    for name, value in (("loss", exact.loss), ("floor", exact.floor), ("reducible", exact.reducible)):
        assert getattr(terms, name).sum(1).mean().item() == pytest.approx(value.item(), rel=0.02)


def test_padding_never_enters_a_mean() -> None:
    values = torch.tensor([[1.0, 3.0, 99.0], [2.0, 99.0, 99.0]], dtype=torch.float64)
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    assert completion_means(values, mask).tolist() == [2.0, 2.0]


def test_intervals_have_the_question_as_their_unit() -> None:
    terms, mask = random_terms(4), torch.ones(6, 5, dtype=torch.float64)
    found = summarise(terms, mask, samples=2, kinds=("a", "b", "c"))
    by_question = terms.loss.mean(1).view(3, 2).mean(1)
    assert found.loss == t_interval(by_question.numpy())
    assert found.loss.n == 3
    assert found.by_reference["b"].mean == pytest.approx(terms.by_reference[..., 1].mean().item())
    assert found.residual < 1e-10


def test_the_gap_compares_separate_completions() -> None:
    terms, mask = random_terms(5), torch.ones(6, 5, dtype=torch.float64)
    gap = summarise(terms, mask, samples=2, kinds=()).gap
    expected = terms.loss.mean(1)[0::2] - terms.floor.mean(1)[1::2]
    assert gap.mean == pytest.approx(expected.mean().item(), abs=1e-14)


def test_one_completion_per_question_allows_no_gap() -> None:
    with pytest.raises(ValueError, match="two completions"):
        summarise(random_terms(6), torch.ones(6, 5), samples=1, kinds=())


def test_batches_of_completions_join_in_order() -> None:
    first, second = random_terms(7), random_terms(8)
    assert torch.equal(join([first, second]).floor, torch.cat([first.floor, second.floor]))


def test_kinds_are_equally_likely_and_all_true() -> None:
    task = ArithmeticTask()
    examples = [task.train_example(-1, index) for index in range(4)]
    references = kind_references(examples, task)
    # One answer, four wordings of each kind of solution.
    row = [1 / 3, *[1 / 12] * 8]
    assert torch.allclose(references.weights, torch.tensor([row] * 4, dtype=torch.float64))
    assert references.names == ("answer", *["solution"] * 4, *["other_route"] * 4)
    for example, texts in zip(examples, references.texts, strict=True):
        assert all(text.split()[-1] == example.answer for text in texts)
        assert len(set(texts)) > 5


def test_a_task_without_words_has_one_reference_of_each_kind() -> None:
    task = ArithmeticTask(wording=Wording(0))
    references = kind_references([task.train_example(-1, 0)], task)
    assert references.names == KINDS
    assert len(set(references.texts[0])) == 3


def test_references_of_one_name_are_averaged() -> None:
    terms, mask = random_terms(4), torch.ones(6, 5, dtype=torch.float64)
    found = summarise(terms, mask, samples=2, kinds=("a", "b", "b")).by_reference
    assert list(found) == ["a", "b"]
    assert found["b"].mean == pytest.approx(terms.by_reference[..., 1:].mean().item())


def test_a_task_with_one_kind_of_reference_is_refused() -> None:
    with pytest.raises(UserError, match="solution, other_route"):
        kind_references([Example(id="x", prompt="q", answer="1")], ArithmeticTask())


def test_believed_answers_are_frequencies_of_numbers_most_frequent_first() -> None:
    assert believed_answers(["3", "7", "3", "", "the", "3"], gold="7") == {"3": 0.75, "7": 0.25}


def test_without_any_answer_the_belief_is_the_gold_answer() -> None:
    assert believed_answers(["", "the"], gold="7") == {"7": 1.0}


def test_no_belief_is_left_out_and_their_entropy_is_that_of_the_sample() -> None:
    beliefs = believed_answers([str(n) for n in range(10)], gold="0")
    assert list(beliefs.values()) == [0.1] * 10  # ten different answers: H(R) = log 10


def rollouts(weights: torch.Tensor, gain: float, rewards: list[float]) -> Rollouts:
    """Return four completions of two tokens, log-probs linear in ``weights`` (8,)."""
    logps = -weights.view(4, 2).square()
    shift = torch.tensor([[gain, 0.0]] * 4, dtype=torch.float64)
    return Rollouts(logps, logps.detach() + shift, torch.ones(4, 2), torch.tensor(rewards, dtype=torch.float64), 2)


def test_gradients_of_a_trained_model_are_equal_without_mixing_and_turn_with_it() -> None:
    weights = torch.arange(1.0, 9.0, dtype=torch.float64).requires_grad_(True)
    same, turned = batch_cosines([weights], rollouts(weights, 1.0, [1.0, 0.0, 0.0, 1.0]), (0.0, 1.0), 0.2)
    assert same == pytest.approx(1.0, abs=1e-12)
    # Per-token gradients ∓w_j/√2·…: right rows (0, 3) scale token 0 by 1.2, wrong rows (1, 2) by 0.8; token 1 by 1.
    plain = torch.tensor([1, 2, -3, -4, -5, -6, 7, 8], dtype=torch.float64)
    factor = torch.tensor([1.2, 1, 0.8, 1, 0.8, 1, 1.2, 1], dtype=torch.float64)
    expected = torch.cosine_similarity(plain, plain * factor, dim=0).item()
    assert turned == pytest.approx(expected, abs=1e-12)


def test_a_batch_without_advantages_counts_in_no_mean() -> None:
    weights = torch.arange(1.0, 9.0, dtype=torch.float64).requires_grad_(True)
    silent = batch_cosines([weights], rollouts(weights, 1.0, [1.0, 1.0, 0.0, 0.0]), (0.5,), 0.2)
    assert over_batches([*silent, 0.5, 0.7]).mean == pytest.approx(0.6)
    assert over_batches(silent).n == 0
