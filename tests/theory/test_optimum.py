"""What a student can reach by the true gradient: below P̄_T's loss, and below an online teacher's first floor."""

import torch

from rlsd_cli.theory.identities import decompose
from rlsd_cli.theory.information import mixture
from rlsd_cli.theory.optimum import below_the_first_floor, best_under_held_teacher, descend
from rlsd_cli.theory.worlds import random_world


def test_on_its_own_prefixes_the_mean_teacher_is_not_the_best_student():
    world = random_world(0, references=3, vocabulary=4, horizon=2)
    found = best_under_held_teacher(world)
    assert (found.reached < found.compared).all()
    assert found.gain > 0


def test_with_one_token_the_mean_teacher_is_the_best_student():
    # Prefixes don't depend on the student there, so the loss is L* + a constant: P̄_T is its minimum.
    world = random_world(0, horizon=1)
    found = best_under_held_teacher(world)
    torch.testing.assert_close(found.reached, found.compared, atol=1e-9, rtol=0)


def test_descent_from_another_start_ends_at_the_mean_teacher_where_there_is_one_token():
    world = random_world(3, horizon=1, spread=0.5)
    mean = mixture(world.references.unsqueeze(1), world.log_teacher())
    best = decompose(world, mean, world.log_teacher()).loss
    torch.testing.assert_close(descend(world, world.student, online=False).loss, best, atol=1e-3, rtol=0)


def test_an_online_teachers_student_falls_below_the_floor_at_which_it_began():
    found = below_the_first_floor(random_world(0, horizon=1))
    assert found.reached.mean() < found.compared.mean()
