"""What a student that never sees r can leak, and how much of it each rule makes it leak.

With fixed parameters the student's output is drawn from π_θ(·|x), which has no input r: Y and R are
independent given X, for every rule and every θ. What can leak is the references that training
drew, because the parameters remember them: θ_K = θ_K(R_1, …, R_K). So

    leakage = I(Y; R_1…R_K | X) = Σ_x P(x) · E_R KL( π_{θ_K(R)}(·|x) ‖ E_R π_{θ_K(R)}(·|x) ),

Y one completion of the trained student. Rollouts are enumerated, so they add no randomness of
their own: whatever the parameters remember is R. Two ways of drawing R:

one per question   each question has one reference, drawn once and used at every step, as in a data set with
                   one verified solution per question. R_1 = … = R_K: exact, at most H(R|X).
fresh every step   each step draws anew. The path space has R^K points; N paths are followed, and the
                   plug-in estimate over them is slightly low.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlsd_cli.theory.dynamics import Rule, train
from rlsd_cli.theory.information import entropy, mutual_information
from rlsd_cli.theory.model import World, token_log_probs


def output_information(world: World, student: Tensor, path_weights: Tensor) -> Tensor:
    """Return I(Y; path | X=x) over N trained students, (X,).

    Args:
        world: Gives the horizon.
        student: (N, X, S, V) logits, one student per path of references.
        path_weights: (X, N) probability of each path given the question.
    """
    outputs = token_log_probs(world.log_student(student), world.horizon).sum(-1).transpose(0, 1)
    return mutual_information(path_weights, outputs).clamp(min=0.0)


def one_reference_per_question(world: World, rule: Rule, steps: int, rate: float) -> Tensor:
    """Return the leakage after each number of steps 0 … ``steps``, (steps + 1, X); exact.

    Student n was trained with reference n on every question; questions share no parameter, so these
    R runs hold every assignment of references to questions.
    """
    questions, count = world.references.shape
    drawn = world.given(torch.arange(count).unsqueeze(1).expand(count, questions))
    series = [torch.zeros_like(world.questions)]
    for _, _, after in train(world.student, lambda step: drawn, rule, steps, rate):
        series.append(output_information(world, after.student, world.references))
    return torch.stack(series)


def fresh_reference_every_step(
    world: World, rule: Rule, steps: int, rate: float, *, paths: int, seed: int, every: int = 10
) -> Tensor:
    """Return the leakage after 0, ``every``, 2·``every``, … steps, estimated over N = ``paths`` paths, (·, X)."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.full((len(world.questions), paths), 1 / paths, dtype=world.references.dtype)

    def draw(step: int) -> World:
        return world.given(torch.multinomial(world.references, paths, replacement=True, generator=generator).T)

    series = [torch.zeros_like(world.questions)]
    for before, _, after in train(world.student, draw, rule, steps, rate):
        if before.step % every == 0:
            series.append(output_information(world, after.student, weights))
    return torch.stack(series)


def reference_entropy(world: World) -> Tensor:
    """Return H(R | X=x), (X,): the most that one reference per question can leak."""
    return entropy(world.references.log())
