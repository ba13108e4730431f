"""RLSD: the environment gives the direction, the teacher the magnitude (arXiv 2604.03128, Algorithm 1).

    Â_t = A·[(1−λ) + λ·clip(exp(sign(A)·Δ_t), 1−ε_w, 1+ε_w)]
    Δ_t = sg(log π(y_t | x, r, y_<t) − log π(y_t | x, y_<t))

What changes against GRPO: the advantage becomes one per token. As in the official code, the
student's side of Δ is the current policy's log-prob from the very forward pass that carries the
gradient, so RLSD costs one extra forward pass: the teacher's.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, Look, Objective, View


class Options(Objective):
    """RLSD's objective. Defaults follow the paper's text."""

    mix: Annotated[float, Field(ge=0, le=1, description="λ at the start")] = 0.5
    mix_decay_steps: Annotated[int, Field(ge=0, description="steps over which λ falls to 0; 0 keeps it")] = 50
    epsilon_w: Annotated[float, Field(ge=0, lt=1, description="half-width of the evidence clip")] = 0.2
    negative_only: bool = Field(default=False, description="ablation: reweight only where A < 0")
    renormalise: bool = Field(default=False, description="ablation: weights of mean 1 in each completion")


ARM = Arm(
    name="rlsd",
    summary="GRPO's direction, the teacher's magnitude: Â_t = A·[(1−λ) + λ·clip(w_t)]",
    data="on-policy",
    direction="environment",
    look=Look(title="RLSD", colour="#0072B2", marker="o"),
    source="arXiv 2604.03128",
    docs="docs/arms.md#rlsd",
    options=Options,
    defaults={"teacher": {"source": "synced", "sync_every": 10, "reference": "answer"}},
    views={"teacher": View("reference")},
    blame=True,
    trainer="rlsd_cli.training.rlsd:RLSDTrainer",
)
