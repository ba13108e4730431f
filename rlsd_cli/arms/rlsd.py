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
from rlsd_cli.arms.tokens import Credit, Tokens


class Options(Objective):
    """RLSD's objective. Defaults follow the paper's text."""

    mix: Annotated[float, Field(ge=0, le=1, description="λ at the start")] = 0.5
    mix_decay_steps: Annotated[int, Field(ge=0, description="steps over which λ falls to 0; 0 keeps it")] = 50
    epsilon_w: Annotated[float, Field(ge=0, lt=1, description="half-width of the evidence clip")] = 0.2
    negative_only: bool = Field(default=False, description="ablation: reweight only where A < 0")
    renormalise: bool = Field(default=False, description="ablation: weights of mean 1 in each completion")


def token_credit(tokens: Tokens, options: Options) -> Credit:
    """Return Â (B, T) of Algorithm 1, and the evidence's statistics."""
    from rlsd_cli import objectives

    scored = tokens.scored()
    delta = objectives.privileged_gain(tokens.teachers["teacher"], tokens.student, scored)
    mix = objectives.linear_decay(tokens.step, options.mix, options.mix_decay_steps)
    weight = objectives.evidence_weight(tokens.advantage, delta, options.epsilon_w)
    low, high = objectives.clipped(tokens.advantage, delta, options.epsilon_w)
    directed = scored * (tokens.advantage != 0).unsqueeze(1)
    return Credit(
        objectives.rlsd_advantage(
            tokens.advantage,
            delta,
            mix,
            options.epsilon_w,
            negative_only=options.negative_only,
            renormalise=options.renormalise,
            mask=tokens.mask,
        ),
        {
            "rlsd/lambda": mix,
            "rlsd/weight_clip_low": (low, directed),
            "rlsd/weight_clip_high": (high, directed),
            "rlsd/weight_clip_low_all": (low, scored),
            "rlsd/weight_clip_high_all": (high, scored),
            "rlsd/weight_mean": (weight, scored),
            "rlsd/weight_mean_right": (weight, scored * (tokens.advantage > 0).unsqueeze(1)),
            "rlsd/weight_mean_wrong": (weight, scored * (tokens.advantage < 0).unsqueeze(1)),
            "rlsd/delta_abs_mean": (delta.abs(), scored),
            "teacher/kl": (-delta, scored),
        },
    )


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
    credit=token_credit,
    blame=True,
)
