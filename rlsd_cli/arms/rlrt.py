"""RLRT: RLSD with the teacher read in reverse, on right rollouts (arXiv 2605.10781).

    Â_t = A·[(1−λ) + λ·clip(P_S(y_t)/P_T(y_t), 1−ε_w, 1+ε_w)]  where A > 0;   Â_t = A elsewhere

What changes against RLSD: a token counts more where the open book would not have said it, in rollouts that are right
all the same: what the student found by itself.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, Look, Objective, View
from rlsd_cli.arms.tokens import Credit, Tokens


class Options(Objective):
    """RLRT's objective."""

    mix: Annotated[float, Field(ge=0, le=1, description="λ")] = 0.5
    epsilon_w: Annotated[float, Field(ge=0, le=1, description="half-width of the clip")] = 1.0


def token_credit(tokens: Tokens, options: Options) -> Credit:
    """Return Â (B, T)."""
    from rlsd_cli import objectives

    right = (tokens.advantage > 0).unsqueeze(1)
    scored = tokens.scored() * right
    delta = objectives.privileged_gain(tokens.teachers["teacher"], tokens.student, scored)
    weight = objectives.evidence_weight(tokens.advantage, -delta, options.epsilon_w)
    return Credit(
        tokens.advantage.unsqueeze(1) * ((1 - options.mix) + options.mix * weight),
        {"rlrt/weight_mean": (weight, scored), "rlrt/delta_abs_mean": (delta.abs(), scored)},
    )


ARM = Arm(
    name="rlrt",
    summary="RLSD reversed, on right rollouts only: w_t = P_S/P_T",
    data="on-policy",
    direction="environment",
    look=Look(title="RLRT", colour="#661100", line=(7, 1, 1, 1, 1, 1), marker="8"),
    source="arXiv 2605.10781",
    docs="docs/arms.md#rlrt",
    claims=("above_grpo", "above_rlsd"),
    options=Options,
    defaults={"teacher": {"source": "online", "reference": "solution"}},
    views={"teacher": View("reference")},
    credit=token_credit,
    like="rlsd",
)
