"""What an arm's functions are given and what they return. Tensors by name only: reading an arm imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """B sampled completions of up to T tokens, as the student and the teachers see them; log-probs in nats.

    Attributes:
        student: (B, T) log π(y_t | x, y_<t) of the pass that is trained, with gradient.
        teachers: By view, (B, T) log-probs of the same tokens under its teacher, without gradient.
        present: By view, (B,) whether the row has the text that the view shows.
        entropy: (B, T) entropy of the student's distribution, without gradient.
        advantage: (B,) GRPO's advantage A.
        correct: (B,) the verifier's verdict.
        mask: (B, T), 1 on completion tokens, 0 on padding.
        ids: (B, T) the sampled tokens.
        step: Optimisation step, from 1.
        resampled: (B, T) the advantage of the step that a token belongs to, in the reward's unit, by continuations
            resampled from it; None where the arm asks for none (`rlsd_cli.arms.record.Arm.resamples`).
        thought: (B, T), 1 inside ``<thought>…</thought>``; None unless the options have ``thought_only``.
    """

    student: Tensor
    teachers: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    entropy: Tensor
    advantage: Tensor
    correct: Tensor
    mask: Tensor
    ids: Tensor
    step: int
    resampled: Tensor | None = None
    thought: Tensor | None = None

    def scored(self, view: str = "teacher") -> Tensor:
        """Return (B, T), 1 on the tokens for which the view has a teacher."""
        return self.mask * self.present[view].unsqueeze(1)


@dataclass(frozen=True)
class Resampling:
    """How the credit of steps is estimated by continuations of the policy.

    Attributes:
        continuations: K, sampled from the start of each step.
        most_steps: Of a completion with more steps neighbours are taken together.
        every_row: Whether completions without an advantage, A = 0, are credited too.
    """

    continuations: int
    most_steps: int
    every_row: bool = True


@dataclass(frozen=True)
class Credit:
    """Token advantages, or a loss of each token, and what to log of them.

    Attributes:
        values: (B, T).
        metrics: By name, a number, or (values, mask), both (B, T): logged as the mean of the values over the
            tokens in the mask, over micro-batches and processes together; NaN where there are none.
    """

    values: Tensor
    metrics: Mapping[str, float | tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Distributions:
    """The whole next-token distributions of n tokens, one row each.

    Attributes:
        student: (n, V) logits over the temperature, with gradient.
        teacher: (n, V) logits over the temperature, without gradient.
        advantage: (n,) A of the token's completion.
        correct: (n,) its verdict.
        ids: (n,) the sampled token.
        step: Optimisation step, from 1.
    """

    student: Tensor
    teacher: Tensor
    advantage: Tensor
    correct: Tensor
    ids: Tensor
    step: int
