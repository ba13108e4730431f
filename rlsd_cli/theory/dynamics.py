"""Gradient descent of OPSD (frozen, synced, online teacher), GRPO and RLSD on one enumerable world.

Each step visits every question once. Questions share no parameter, so the questions of a
world are independent repetitions and what one question's reference teaches stays with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from rlsd_cli.objectives import linear_decay
from rlsd_cli.theory.identities import decompose
from rlsd_cli.theory.information import distillation_loss, mixture
from rlsd_cli.theory.model import World, prefix_probability, token_log_probs
from rlsd_cli.theory.updates import deviation_share, grpo_update, mean_over_references, opsd_update, rlsd_update
from rlsd_cli.theory.worlds import CITE


@dataclass(frozen=True)
class Rule:
    """A training rule of the comparison.

    Attributes:
        name: In tables and figures.
        signal: What moves the student.
        sync_every: Steps between copies of the student into the teacher; 1 is the online
            teacher, None a teacher that stays the initial student.
        mix: RLSD's λ at the first step.
        decay_steps: Steps over which λ falls to 0; 0 keeps it.
        epsilon_w: RLSD's ε_w.
    """

    name: str
    signal: Literal["opsd", "grpo", "rlsd"]
    sync_every: int | None = 1
    mix: float = 0.5
    decay_steps: int = 50
    epsilon_w: float = 0.2

    def update(self, world: World, logits: Tensor, teacher_logits: Tensor, step: int) -> Tensor:
        """Return the update of step ``step`` (from 1) for each reference, (N, X, R, S, V)."""
        if self.signal == "grpo":
            return grpo_update(world, logits)
        if self.signal == "opsd":
            return opsd_update(world, logits, teacher_logits)
        mix = linear_decay(step, self.mix, self.decay_steps)
        return rlsd_update(world, logits, teacher_logits, mix, self.epsilon_w)


RULES = (
    Rule("OPSD frozen", "opsd", sync_every=None),
    Rule("OPSD synced", "opsd", sync_every=10),
    Rule("OPSD online", "opsd", sync_every=1),
    Rule("GRPO", "grpo"),
    Rule("RLSD", "rlsd", sync_every=10),
    Rule("RLSD λ=1", "rlsd", sync_every=10, mix=1.0, decay_steps=0),
)


@dataclass
class State:
    """What a step starts from. ``student`` and ``teacher`` are logits (N, X, S, V); ``step`` counts from 1."""

    step: int
    student: Tensor
    teacher: Tensor


def train(
    start: Tensor, draw: Callable[[int], World], rule: Rule, steps: int, rate: float
) -> Iterator[tuple[State, Tensor, State]]:
    """Yield (state before, update for each r, state after) of each step.

    Args:
        start: (X, S, V) logits of the initial student, and of a teacher that stays frozen.
        draw: Maps the step (from 1) to the world over whose references it averages: the world itself for the
            expected gradient, `World.given` references for sampled ones.
        rule: What to train with.
        steps: Number of steps.
        rate: Learning rate of plain gradient descent on the logits.
    """
    student = start.unsqueeze(0)
    state = State(1, student, student)
    for step in range(1, steps + 1):
        world = draw(step)
        update = rule.update(world, state.student, state.teacher, step)
        student = state.student + rate * mean_over_references(world.references, update)
        synced = rule.sync_every is not None and step % rule.sync_every == 0
        after = State(step + 1, student, student if synced else state.teacher)
        yield state, update, after
        state = after


@dataclass
class Curves:
    """What the expected-gradient run of a rule showed; each (steps + 1, X) unless said otherwise.

    Attributes:
        loss: L_OPSD under the rule's own teacher, nats per completion.
        floor: I(Y_t; R | X, Y_<t) under the same teacher.
        accuracy: Expected reward of the student.
        citing: Probability that the student's completion opens with the citation.
        share: ρ_k of each step, (steps, X).
        student_change: Change of the loss by the student's step, prefixes and teacher held, (steps, X).
        prefix_change: Change by the prefixes that the moved student visits, (steps, X).
        teacher_change: Change by the teacher's move, student held, (steps, X).
        update_drift: ‖update under the moved teacher − under the old one‖ / ‖the latter‖, student held, (steps, X).
    """

    loss: list[Tensor] = field(default_factory=list)
    floor: list[Tensor] = field(default_factory=list)
    accuracy: list[Tensor] = field(default_factory=list)
    citing: list[Tensor] = field(default_factory=list)
    share: list[Tensor] = field(default_factory=list)
    student_change: list[Tensor] = field(default_factory=list)
    prefix_change: list[Tensor] = field(default_factory=list)
    teacher_change: list[Tensor] = field(default_factory=list)
    update_drift: list[Tensor] = field(default_factory=list)

    def stacked(self, name: str) -> Tensor:
        """Return a series as one tensor, (steps or steps + 1, X)."""
        return torch.stack(getattr(self, name))


def accuracy(world: World, log_policy: Tensor) -> Tensor:
    """Return the expected reward (..., X) of a policy given as a table (..., X, S, V)."""
    return (token_log_probs(log_policy, world.horizon).sum(-1).exp() * world.reward).sum(-1)


def ceiling(world: World) -> Tensor:
    """Return the expected reward (X,) of the mean teacher at θ_0: where a frozen teacher leads (Prop. 2)."""
    return accuracy(world, mixture(world.references.unsqueeze(-2), world.log_teacher()))


def fixed_prefix_loss(world: World, visits: Tensor, log_student: Tensor, log_teacher: Tensor) -> Tensor:
    """Return L_OPSD (..., X) with the prefixes weighted by ``visits`` (..., X, S)."""
    return (visits * distillation_loss(world.references.unsqueeze(-2), log_teacher, log_student)).sum(-1)


def expected_run(world: World, rule: Rule, steps: int, rate: float) -> Curves:
    """Follow the gradient that is averaged over P(r|x), and split each step's change of the loss (Theorem 2)."""
    curves = Curves()

    def record(state: State) -> None:
        log_student, log_teacher = world.log_student(state.student), world.log_teacher(state.teacher)
        parts = decompose(world, log_student, log_teacher)
        curves.loss.append(parts.loss[0])
        curves.floor.append(parts.floor[0])
        curves.accuracy.append(accuracy(world, log_student)[0])
        curves.citing.append(log_student[0, :, 0, CITE].exp())

    for before, update, after in train(world.student, lambda step: world, rule, steps, rate):
        if before.step == 1:
            record(before)
        record(after)
        curves.share.append(deviation_share(world.references, update)[0])
        split_change(world, before, after, curves)
        curves.update_drift.append(update_drift(world, rule, before, after)[0])
    return curves


def update_drift(world: World, rule: Rule, before: State, after: State) -> Tensor:
    """Return how much the teacher's move alone changes the update, (N, X), relative to the update's norm."""
    if after.teacher is before.teacher or rule.signal == "grpo":
        return torch.zeros_like(after.student[..., 0, 0])
    held = rule.update(world, after.student, before.teacher, before.step)
    moved = rule.update(world, after.student, after.teacher, before.step)
    return (moved - held).flatten(-3).norm(dim=-1) / held.flatten(-3).norm(dim=-1).clamp(min=1e-300)


def split_change(world: World, before: State, after: State, curves: Curves) -> None:
    """Append L(k+1) − L(k) = Δ_S + Δ_prefix + Δ_T of one step to ``curves``.

    Theorem 2 has two terms. On the student's own completions there is a third: the moved student
    visits other prefixes, and no gradient accounts for that.
    """
    old, new = world.log_student(before.student), world.log_student(after.student)
    old_teacher, new_teacher = world.log_teacher(before.teacher), world.log_teacher(after.teacher)
    visits_before, visits_after = (prefix_probability(table, world.horizon) for table in (old, new))
    start = fixed_prefix_loss(world, visits_before, old, old_teacher)
    stepped = fixed_prefix_loss(world, visits_before, new, old_teacher)
    visited = fixed_prefix_loss(world, visits_after, new, old_teacher)
    end = fixed_prefix_loss(world, visits_after, new, new_teacher)
    curves.student_change.append((stepped - start)[0])
    curves.prefix_change.append((visited - stepped)[0])
    curves.teacher_change.append((end - visited)[0])
