"""Theorem 1, Proposition 1 and Theorem 4 as properties of random enumerable models."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsd_cli.theory.identities import (
    bayes_teacher,
    decompose,
    deviation_energy,
    loss_gradients,
    score_gradients,
    telescoping_residual,
)
from rlsd_cli.theory.identity_checks import blind_features, proposition_1, theorem_1, theorem_4
from rlsd_cli.theory.information import mixture, mutual_information
from rlsd_cli.theory.model import World
from rlsd_cli.theory.worlds import normal, random_world

WORLDS = st.builds(
    random_world,
    st.integers(0, 10**6),
    questions=st.integers(1, 3),
    references=st.integers(1, 5),
    vocabulary=st.integers(2, 6),
    horizon=st.integers(1, 3),
    spread=st.floats(0.1, 4.0),
)


@settings(max_examples=60, deadline=None)
@given(WORLDS)
def test_opsd_loss_is_the_reducible_loss_plus_the_mutual_information(world: World) -> None:
    parts = decompose(world, world.log_student(), world.log_teacher())
    assert (parts.loss - parts.reducible - parts.floor).abs().max() < 1e-10


@settings(max_examples=40, deadline=None)
@given(WORLDS)
def test_the_mean_teacher_is_the_best_student_without_r(world: World) -> None:
    log_teacher = world.log_teacher()
    best = mixture(world.references.unsqueeze(1), log_teacher)
    parts = decompose(world, best, log_teacher)
    assert (parts.loss - parts.floor).abs().max() < 1e-10
    assert decompose(world, world.log_student(), log_teacher).reducible.min() > -1e-12


@settings(max_examples=40, deadline=None)
@given(WORLDS)
def test_the_deviation_of_the_gradient_vanishes_on_average(world: World) -> None:
    by_reference, optimal = loss_gradients(world)
    mean = (world.references[..., None, None] * (by_reference - optimal.unsqueeze(1))).sum(1)
    assert mean.abs().max() < 1e-12


@settings(max_examples=40, deadline=None)
@given(WORLDS)
def test_the_deviation_is_the_teachers_distance_from_the_mean_teacher(world: World) -> None:
    # In logits −Σ_v [P_T(v|r) − P̄_T(v)]·∇log P_S(v) is P̄_T − P_T(r): the score's own mean cancels.
    by_reference, optimal = loss_gradients(
        replace(world, horizon=1, student=world.student[:, :1], evidence=world.evidence[:, :1])
    )
    log_teacher = world.log_teacher()[:, 0]
    expected = mixture(world.references, log_teacher).exp().unsqueeze(1) - log_teacher.exp()
    assert torch.allclose((by_reference - optimal.unsqueeze(1))[:, :, 0], expected, atol=1e-13)


@settings(max_examples=40, deadline=None)
@given(WORLDS, st.integers(1, 8))
def test_the_printed_variance_lacks_exactly_the_cross_term(world: World, features: int) -> None:
    jacobian = normal((world.vocabulary, features), torch.Generator().manual_seed(features))
    scores = score_gradients(world.log_student(), jacobian)
    energy = deviation_energy(world.references.unsqueeze(1), world.log_teacher(), scores)
    assert torch.allclose(energy.exact, energy.printed + energy.cross, rtol=1e-9, atol=1e-13)


def test_the_printed_variance_is_wrong_by_the_cross_term_in_a_case_done_by_hand() -> None:
    # Two tokens, P_S = (½, ½): ∇log P_S = ±(½, −½) in logits, of squared norm ½. P_T(1) = 0.9 or 0.1: both
    # variances are 0.16, so the print says 2·0.16·½ = 0.16. Exactly: δ = ±(0.4, −0.4), ‖δ‖² = 0.32.
    scores = score_gradients(torch.tensor([0.5, 0.5], dtype=torch.float64).log(), torch.eye(2, dtype=torch.float64))
    teacher = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64).log()
    energy = deviation_energy(torch.tensor([0.5, 0.5], dtype=torch.float64), teacher, scores)
    assert energy.exact.item() == pytest.approx(0.32, abs=1e-15)
    assert energy.printed.item() == pytest.approx(0.16, abs=1e-15)
    assert energy.cross.item() == pytest.approx(0.16, abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(WORLDS)
def test_in_a_logit_table_the_deviation_and_the_floor_bound_each_other(world: World) -> None:
    weights, log_teacher = world.references.unsqueeze(1), world.log_teacher()
    scores = score_gradients(world.log_student(), torch.eye(world.vocabulary, dtype=torch.float64))
    energy = deviation_energy(weights, log_teacher, scores).exact
    floor = mutual_information(weights, log_teacher)
    assert (energy <= floor + 1e-12).all()
    assert (floor <= energy / mixture(weights, log_teacher).exp().amin(-1) + 1e-12).all()


def test_features_that_confuse_two_tokens_hide_the_deviation_but_not_the_information() -> None:
    assert blind_features() > 0.1


@settings(max_examples=40, deadline=None)
@given(WORLDS, st.integers(0, 100))
def test_gains_telescope_to_the_evidence_for_r_under_assumption_1(world: World, seed: int) -> None:
    size = (len(world.questions), world.vocabulary**world.horizon, world.references.size(1))
    posterior = torch.log_softmax(normal(size, torch.Generator().manual_seed(seed)), dim=-1)
    pair = bayes_teacher(world, posterior)
    assert pair.log_teacher.logsumexp(-1).abs().max() < 1e-12
    assert telescoping_residual(world, pair).max() < 1e-10


def test_checks_of_proven_identities_hold_and_the_printed_variance_fails() -> None:
    checks = [*theorem_1(30, 5), *proposition_1(30, 5), *theorem_4(30, 5)]
    assert all(check.verdict != "fails" for check in checks if check.must_hold)
    failed = [check.statement for check in checks if check.verdict == "fails"]
    assert len(failed) == 1
    assert failed[0].startswith("as printed")


def test_the_floor_moves_with_the_students_prefixes_only_from_the_second_token_on() -> None:
    one, longer, shared = theorem_1(30, 5)[3:]
    assert one.measured == 0.0
    assert longer.measured > 0.1
    assert shared.measured > 0.1  # an online teacher moves with the student, and its floor too
