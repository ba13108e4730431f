"""Two families of enumerable models: fully random ones for identities, a small story for dynamics."""

from __future__ import annotations

import torch
from torch import Tensor

from rlsd_cli.theory.model import World, prefix_count

STORY_REFERENCES = 3
STORY_VOCABULARY = 6
CITE = STORY_REFERENCES  # tokens 0 … R−1 open by one of the routes, the next one cites the reference


def dirichlet(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return uniform random distributions over the last axis (exponentials, normalised)."""
    draws = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
    return draws / draws.sum(dim=-1, keepdim=True)


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return standard normal draws in float64."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def random_world(
    seed: int,
    *,
    questions: int = 3,
    references: int = 3,
    vocabulary: int = 4,
    horizon: int = 2,
    spread: float = 2.0,
) -> World:
    """Draw a world without structure: every table normal, every distribution uniform on its simplex.

    Args:
        seed: Decides everything.
        questions: X.
        references: R.
        vocabulary: V.
        horizon: T.
        spread: Standard deviation of the student's logits and of the evidence, in nats.
    """
    generator = torch.Generator().manual_seed(seed)
    prefixes = prefix_count(vocabulary, horizon)
    return World(
        questions=dirichlet((questions,), generator),
        references=dirichlet((questions, references), generator),
        student=spread * normal((questions, prefixes, vocabulary), generator),
        evidence=spread * normal((questions, prefixes, references, vocabulary), generator),
        reward=(torch.rand((questions, vocabulary**horizon), generator=generator) < 0.5).double(),
        horizon=horizon,
    )


def story_world(seed: int, questions: int = 24, habit: float = 3.0) -> World:
    """Draw the world of the dynamics: two tokens, an opening and an answer.

    Each reference solves the question by a route of its own, so it raises *its* opening token
    (+3 nats): that is what R alone knows. All references raise the right answer (+3, useful) and the
    token that cites the reference (``habit``, a trait of the open-book pass that is the same for every r). The
    student almost never cites (−3 nats) and knows nothing of the answer beyond chance. Normal
    noise of 0.5 nats on all evidence makes references differ in their answers as well.
    """
    generator = torch.Generator().manual_seed(seed)
    size, routes = STORY_VOCABULARY, STORY_REFERENCES
    prefixes = prefix_count(size, 2)
    answer = torch.randint(size, (questions,), generator=generator)
    student = normal((questions, prefixes, size), generator)
    student[:, 0, CITE] -= 3.0
    evidence = 0.5 * normal((questions, prefixes, routes, size), generator)
    evidence[:, 0, :, :routes] += 3.0 * torch.eye(routes, dtype=torch.float64)
    evidence[:, 0, :, CITE] += habit
    right = torch.nn.functional.one_hot(answer, size).double()
    evidence[:, 1:] += 3.0 * right[:, None, None, :]
    return World(
        questions=torch.full((questions,), 1 / questions, dtype=torch.float64),
        references=dirichlet((questions, routes), generator),
        student=student,
        evidence=evidence,
        reward=right.repeat(1, size),
        horizon=2,
    )
