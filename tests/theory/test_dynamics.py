"""Propositions 2 and 3, Theorem 2 and the leakage, as outcomes of gradient descent on small worlds."""

import itertools

import pytest
import torch

from rlsd_cli.theory.dynamics import RULES, Rule, ceiling, expected_run, train
from rlsd_cli.theory.identities import decompose
from rlsd_cli.theory.leakage import (
    fresh_reference_every_step,
    one_reference_per_question,
    output_information,
    reference_entropy,
)
from rlsd_cli.theory.outcomes import dynamics_checks, study_dynamics, trade_offs
from rlsd_cli.theory.worlds import random_world, story_world

FROZEN = Rule("frozen", "opsd", sync_every=None)
ONLINE = Rule("online", "opsd", sync_every=1)
GRPO = Rule("grpo", "grpo")
RLSD = Rule("rlsd", "rlsd", sync_every=1, mix=1.0, decay_steps=0)


@pytest.fixture(scope="module")
def study():
    return study_dynamics(11, questions=12, steps=120, paths=12)


def test_a_frozen_teacher_leads_the_loss_down_to_the_floor_and_not_below() -> None:
    world = random_world(0, horizon=1, spread=1.0)
    curves = expected_run(world, FROZEN, steps=400, rate=0.5)
    gap = curves.stacked("loss") - curves.stacked("floor")
    assert gap.min() > -1e-12
    assert gap[-1].max() < 1e-3
    assert (curves.stacked("floor").std(0) < 1e-12).all()


def test_a_frozen_teacher_leads_to_the_mean_teachers_accuracy() -> None:
    world = story_world(3, questions=8)
    curves = expected_run(world, FROZEN, steps=2000, rate=1.0)
    assert (curves.stacked("accuracy")[-1] - ceiling(world)).abs().max() < 0.01


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_three_terms_of_a_step_add_up_to_the_change_of_the_loss(rule: Rule) -> None:
    curves = expected_run(story_world(4, questions=5), rule, steps=12, rate=0.5)
    change = curves.stacked("loss").diff(dim=0)
    terms = [curves.stacked(name) for name in ("student_change", "prefix_change", "teacher_change")]
    assert torch.allclose(sum(terms), change, atol=1e-12)


def test_a_held_teacher_changes_nothing_by_itself() -> None:
    curves = expected_run(story_world(4, questions=5), FROZEN, steps=10, rate=0.5)
    assert curves.stacked("teacher_change").abs().max() == 0
    assert curves.stacked("update_drift").max() == 0


def test_a_synced_teacher_moves_only_at_its_steps() -> None:
    curves = expected_run(story_world(4, questions=5), Rule("synced", "opsd", sync_every=4), steps=10, rate=0.5)
    moved = curves.stacked("update_drift").max(dim=1).values > 0
    assert moved.nonzero().flatten().tolist() == [3, 7]


def test_steps_on_the_only_reference_are_steps_on_the_expected_gradient() -> None:
    world = random_world(5, references=1)
    expected = [after.student for _, _, after in train(world.student, lambda step: world, FROZEN, 5, 0.3)]
    only = world.given(torch.zeros(1, 3, dtype=torch.long))
    sampled = [after.student for _, _, after in train(world.student, lambda step: only, FROZEN, 5, 0.3)]
    assert torch.allclose(expected[-1], sampled[-1], atol=1e-14)


def test_students_that_are_equal_carry_no_information_about_their_references() -> None:
    world = story_world(6, questions=4)
    same = world.student.unsqueeze(0).expand(3, -1, -1, -1)
    assert output_information(world, same, world.references).max() < 1e-12


def test_memorised_references_leak_the_teachers_whole_information() -> None:
    # One token and one reference per question: the student becomes P_T(·|x, r), so I(Y; R | X) is Theorem 1's floor.
    world = random_world(7, horizon=1, spread=1.0)
    leaked = one_reference_per_question(world, FROZEN, steps=3000, rate=1.0)[-1]
    floor = decompose(world, world.log_student(), world.log_teacher()).floor
    assert torch.allclose(leaked, floor, atol=1e-4)


@pytest.mark.parametrize("rule", [FROZEN, ONLINE, RLSD], ids=lambda rule: rule.name)
def test_leakage_is_positive_and_at_most_the_entropy_of_r(rule: Rule) -> None:
    world = story_world(8, questions=6)
    leaked = one_reference_per_question(world, rule, steps=60, rate=0.5)
    assert (leaked[1:] > 0).all()
    assert (leaked <= reference_entropy(world) + 1e-12).all()


def test_grpo_leaks_nothing_in_either_way_of_drawing_references() -> None:
    world = story_world(8, questions=6)
    assert one_reference_per_question(world, GRPO, steps=60, rate=0.5).max() < 1e-12
    assert fresh_reference_every_step(world, GRPO, steps=20, rate=0.5, paths=5, seed=0).max() < 1e-12


def test_sampled_paths_agree_with_all_paths_enumerated() -> None:
    world = random_world(9, questions=2, references=2, horizon=1, spread=1.0)
    paths = torch.tensor(list(itertools.product(range(2), repeat=3)))  # 2³ histories of three steps
    draws = [world.given(paths[:, step : step + 1].expand(-1, 2)) for step in range(3)]
    states = [after for _, _, after in train(world.student, lambda step: draws[step - 1], FROZEN, 3, 0.8)]
    weights = world.references[:, paths].prod(dim=-1)
    exact = output_information(world, states[-1].student, weights)
    estimate = fresh_reference_every_step(world, FROZEN, 3, 0.8, paths=4000, seed=1, every=3)[-1]
    assert torch.allclose(estimate, exact, rtol=0.1)


def test_measured_trade_offs_agree_with_table_3_except_for_rlsds_leakage(study) -> None:
    rows = {row.rule: (row.stable, row.sustained, row.leakage_free) for row in trade_offs(study)}
    assert rows["OPSD frozen"] == (True, False, False)
    assert rows["OPSD online"] == (False, True, False)
    assert rows["GRPO"] == (True, True, True)
    assert rows["RLSD"] == (True, True, False)  # the paper's Table 3 says yes to all three


def test_rlsd_leaks_less_than_opsd_and_more_without_decay(study) -> None:
    leak = {row.rule: row.leak_one for row in trade_offs(study)}
    assert 0 < leak["RLSD"] < leak["RLSD λ=1"] < leak["OPSD frozen"] < leak["OPSD online"]


def test_the_citation_that_all_references_share_is_learned_although_it_is_no_information(study) -> None:
    citing = {outcome.rule.name: outcome.curves.stacked("citing").mean(1) for outcome in study.outcomes}
    assert citing["OPSD frozen"][-1] > 3 * citing["OPSD frozen"][0]
    assert citing["OPSD online"][-1] > 2 * citing["OPSD frozen"][-1]  # the teacher cites ever more, as the student does
    assert citing["GRPO"][-1] < citing["GRPO"][0]
    assert citing["RLSD λ=1"][-1] < citing["RLSD λ=1"][0]


def test_checks_of_the_dynamics_find_what_the_propositions_say_and_what_they_leave_out(study) -> None:
    checks = {(check.source, check.quantity): check for check in dynamics_checks(study)}
    assert checks["Prop. 2", "largest accuracy − ceiling over steps and questions"].measured < 0
    assert checks["Theorem 2", "largest Δ_S, nats"].verdict == "holds"
    assert 0.5 < checks["Theorem 2", "share of steps with Δ_T > 0"].measured < 1
    assert checks["Table 3", "mean leakage, one r per question, nats"].verdict == "fails"
