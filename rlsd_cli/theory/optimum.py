"""What a student can reach: the best one under a held teacher, and below an online teacher's first floor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlsd_cli.theory.identities import Decomposition, decompose
from rlsd_cli.theory.information import mixture
from rlsd_cli.theory.model import World

STEPS = 200
RATE = 0.05


@dataclass(frozen=True)
class Descent:
    """Losses per question, (X,), and what they are compared with."""

    reached: Tensor
    compared: Tensor

    @property
    def gain(self) -> float:
        """How far the mean over questions ends below what it is compared with, as a share of that."""
        return (1 - self.reached.mean() / self.compared.mean()).item()


def descend(world: World, start: Tensor, *, online: bool) -> Decomposition:
    """Return the decomposition after Adam on the whole loss, its prefixes' probabilities included.

    Args:
        world: The model.
        start: (X, S, V) logits of the student.
        online: Whether the teacher shares the student's logits and moves with them; otherwise the world's own is held.
    """
    logits = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([logits], lr=RATE)
    held = world.log_teacher().detach()

    def parts() -> Decomposition:
        return decompose(world, world.log_student(logits), world.log_teacher(logits) if online else held)

    for _ in range(STEPS):
        optimiser.zero_grad()
        parts().loss.sum().backward()
        optimiser.step()
    with torch.no_grad():
        return parts()


def best_under_held_teacher(world: World) -> Descent:
    """Compare the loss that another student reaches with that of P̄_T, each on the prefixes that it visits itself."""
    mean = mixture(world.references.unsqueeze(1), world.log_teacher())
    return Descent(descend(world, mean, online=False).loss, decompose(world, mean, world.log_teacher()).loss)


def below_the_first_floor(world: World) -> Descent:
    """Compare the loss that an online teacher's student reaches with the floor where it began."""
    first = decompose(world, world.log_student(), world.log_teacher())
    return Descent(descend(world, world.student, online=True).loss, first.floor)
