"""Floating-point operations of a dense decoder, counted from its sizes; a multiply-add is two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# A backward pass computes two products for each one of the forward pass: by the inputs and by the weights.
BACKWARD = 2


@dataclass(frozen=True)
class Sizes:
    """The sizes of a dense decoder with a gated MLP."""

    layers: int
    hidden: int
    heads: int
    key_heads: int
    head_width: int
    intermediate: int
    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> Sizes:
        """Read the sizes from a transformers configuration."""
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            key_heads=config.num_key_value_heads,
            head_width=config.head_dim,
            intermediate=config.intermediate_size,
            vocabulary=config.vocab_size,
        )

    def products(self) -> list[tuple[int, int]]:
        """Return (inputs, outputs) of one layer's seven projections."""
        attention = self.heads * self.head_width
        keys = self.key_heads * self.head_width
        return [
            (self.hidden, attention),
            (self.hidden, keys),
            (self.hidden, keys),
            (attention, self.hidden),
            (self.hidden, self.intermediate),
            (self.hidden, self.intermediate),
            (self.intermediate, self.hidden),
        ]


@dataclass(frozen=True)
class Shapes:
    """What one step computes on; lengths are padded ones, in tokens."""

    rows: int
    prompts: int  # distinct ones
    prompt: int
    completion: int
    teacher_prompt: int | None = None
    sampled: bool = True


@dataclass(frozen=True)
class Work:
    """Floating-point operations of a step by part."""

    rollout: float
    student: float
    teacher: float
    update: float


def forward(sizes: Sizes, rows: int, length: int, scored: int) -> float:
    """Return the operations of one pass over (rows, length) tokens of which ``scored`` go through the head.

    Attention is counted in full, as PyTorch's counter and kernels do, without halving it for causality.
    """
    tokens = rows * length
    projections = sum(2 * tokens * inputs * outputs for inputs, outputs in sizes.products())
    attention = 4 * rows * length**2 * sizes.heads * sizes.head_width
    return sizes.layers * (projections + attention) + 2 * scored * sizes.hidden * sizes.vocabulary


def decoding(sizes: Sizes, shapes: Shapes) -> float:
    """Return the operations of sampling: each distinct prompt read once, then one token per row and step."""
    per_token = forward(sizes, 1, 1, 1) - 4 * sizes.layers * sizes.heads * sizes.head_width  # no attention yet
    attended = sum(shapes.prompt + step for step in range(1, shapes.completion))
    attention = 4 * sizes.layers * sizes.heads * sizes.head_width * attended
    reading = forward(sizes, shapes.prompts, shapes.prompt, shapes.prompts)
    return reading + shapes.rows * ((shapes.completion - 1) * per_token + attention)


def step_work(sizes: Sizes, shapes: Shapes) -> Work:
    """Return what a step cannot do without: only completion tokens pass the head, prompts are read once to sample."""
    scored = shapes.rows * shapes.completion
    student = forward(sizes, shapes.rows, shapes.prompt + shapes.completion, scored)
    teacher = 0.0
    if shapes.teacher_prompt is not None:
        teacher = forward(sizes, shapes.rows, shapes.teacher_prompt + shapes.completion, scored)
    return Work(
        rollout=decoding(sizes, shapes) if shapes.sampled else 0.0,
        student=student,
        teacher=teacher,
        update=BACKWARD * student,
    )
