"""CEPO: what a right and a wrong answer say of a token, one against the other (arXiv 2605.19436).

    Â_t = A·[(1−λ) + λ·clip(exp(sign(A)·Δ_t), 1−ε_w, 1+ε_w)]
    Δ_t = sg(log π(y_t | x, r⁺, y_<t) − log π(y_t | x, r⁻, y_<t))

What changes against RLSD: the student's side of Δ is a second teacher's, whose reference is the answer of a wrong
sibling. Where there is none the row keeps its plain advantage, as in the authors' code.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, Look, Objective, View
from rlsd_cli.arms.tokens import Credit, Tokens


class Options(Objective):
    """CEPO's objective. Defaults follow the authors' README; their script has ε_w = 0.2."""

    mix: Annotated[float, Field(ge=0, le=1, description="λ at the start")] = 0.5
    mix_decay_steps: Annotated[int, Field(ge=0, description="steps over which λ falls to 0; 0 keeps it")] = 25
    epsilon_w: Annotated[float, Field(ge=0, lt=1, description="half-width of the evidence clip")] = 0.5


def token_credit(tokens: Tokens, options: Options) -> Credit:
    """Return Â (B, T)."""
    from rlsd_cli import objectives

    scored = tokens.scored("right") * tokens.scored("wrong")
    delta = objectives.privileged_gain(tokens.teachers["right"], tokens.teachers["wrong"], scored)
    mix = objectives.linear_decay(tokens.step, options.mix, options.mix_decay_steps)
    weight = objectives.evidence_weight(tokens.advantage, delta, options.epsilon_w)
    return Credit(
        objectives.rlsd_advantage(tokens.advantage, delta, mix, options.epsilon_w),
        {
            "cepo/lambda": mix,
            "cepo/weight_mean": (weight, scored),
            "cepo/delta_abs_mean": (delta.abs(), scored),
        },
    )


ARM = Arm(
    name="cepo",
    summary="RLSD with Δ between a right answer's teacher and a wrong one's",
    data="on-policy",
    direction="environment",
    look=Look(title="CEPO", colour="#332288", line=(9, 1, 2, 1), marker="*"),
    source="arXiv 2605.19436",
    docs="docs/arms.md#cepo",
    claims=("above_grpo", "above_rlsd"),
    options=Options,
    defaults={"teacher": {"source": "online", "reference": "answer"}},
    views={"right": View("reference"), "wrong": View("wrong")},
    credit=token_credit,
    like="rlsd",
)
