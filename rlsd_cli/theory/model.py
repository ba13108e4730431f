"""An enumerable language model: every prefix, completion and reference can be listed.

A `World` holds questions x, references r with a known P(r|x), a student that is a softmax over a
table of logits per (question, prefix), and a teacher with a table per (question, prefix, reference).
The teacher shares the student's table, as in self-distillation: its logits are the student's plus
what the reference adds, `evidence`. (A teacher that shares nothing is the same with evidence
relative to any fixed student, so identities lose no generality.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


def prefix_count(vocabulary: int, horizon: int) -> int:
    """Return S, the number of prefixes of length 0 … T−1."""
    return sum(vocabulary**length for length in range(horizon))


@dataclass(frozen=True)
class World:
    """An enumerable model.

    Attributes:
        questions: (X,) P(x).
        references: (X, R) P(r|x).
        student: (X, S, V) logits.
        evidence: (X, S, R, V), added to the student's logits in the teacher's pass.
        reward: (X, Y) the environment's verdict on each completion, 0 or 1.
        horizon: T.
    """

    questions: Tensor
    references: Tensor
    student: Tensor
    evidence: Tensor
    reward: Tensor
    horizon: int

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.student.size(-1)

    def given(self, reference: Tensor) -> World:
        """Return N copies of the world in which question x has the one reference ``reference[n, x]``.

        Args:
            reference: (N, X) indices.

        Returns:
            A world whose evidence is (N, X, S, 1, V) and whose only reference has probability 1.
        """
        questions = torch.arange(len(self.questions))
        evidence = self.evidence.transpose(1, 2)[questions, reference].unsqueeze(-2)
        return replace(self, evidence=evidence, references=torch.ones_like(self.references[:, :1]))

    def log_student(self, logits: Tensor | None = None) -> Tensor:
        """Return log P_S(·|x, y_<t), (..., X, S, V), for the world's own logits or others."""
        return torch.log_softmax(self.student if logits is None else logits, dim=-1)

    def log_teacher(self, logits: Tensor | None = None) -> Tensor:
        """Return log P_T(·|x, r, y_<t), (..., X, S, R, V), of the teacher that shares the given logits."""
        base = self.student if logits is None else logits
        return torch.log_softmax(base.unsqueeze(-2) + self.evidence, dim=-1)


def prefix_probability(log_student: Tensor, horizon: int) -> Tensor:
    """Return the probability that the student's own completion starts with each prefix.

    Args:
        log_student: (..., S, V).
        horizon: T.

    Returns:
        (..., S); each length's prefixes sum to 1.
    """
    probs = log_student.exp()
    level = torch.ones_like(probs[..., :1, 0])
    levels, start = [level], 0
    for _ in range(horizon - 1):
        rows = probs[..., start : start + level.size(-1), :]
        start += level.size(-1)
        level = (level.unsqueeze(-1) * rows).flatten(-2)
        levels.append(level)
    return torch.cat(levels, dim=-1)


def completions(vocabulary: int, horizon: int) -> tuple[Tensor, Tensor]:
    """Return every completion as (prefix index, token) at each position.

    Returns:
        Two (Y, T) integer tensors, Y = V^T in lexicographic order; prefixes are numbered by length, then
        lexicographically, as in `prefix_probability`.
    """
    number = torch.arange(vocabulary**horizon)
    prefixes, tokens = [], []
    for position in range(horizon):
        offset = prefix_count(vocabulary, position)
        prefixes.append(offset + number // vocabulary ** (horizon - position))
        tokens.append(number // vocabulary ** (horizon - position - 1) % vocabulary)
    return torch.stack(prefixes, dim=1), torch.stack(tokens, dim=1)


def token_log_probs(log_probs: Tensor, horizon: int) -> Tensor:
    """Return log π(y_t|y_<t) of every completion's tokens, (..., Y, T), from a table (..., S, V)."""
    prefixes, tokens = completions(log_probs.size(-1), horizon)
    return log_probs[..., prefixes, tokens]


def scatter_tokens(values: Tensor, vocabulary: int) -> Tensor:
    """Sum values given per completion and position, (..., Y, T), into the table (..., S, V) of their tokens."""
    horizon = values.size(-1)
    prefixes, tokens = completions(vocabulary, horizon)
    cells = prefix_count(vocabulary, horizon) * vocabulary
    flat = values.new_zeros(*values.shape[:-2], cells)
    index = (prefixes * vocabulary + tokens).flatten()
    return flat.index_add(-1, index, values.flatten(-2)).unflatten(-1, (-1, vocabulary))
