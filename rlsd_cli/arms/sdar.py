"""SDAR: GRPO and a gated pull towards the teacher on the sampled tokens (arXiv 2605.15155).

    loss = GRPO + c · mean_t sg(σ(β·Δ_t)) · (log π(y_t | x, r, y_<t) − log π(y_t | x, y_<t))
    Δ_t = sg(log π(y_t | x, r, y_<t) − log π(y_t | x, y_<t))

What changes against GRPO: a second term whose gradient raises every sampled token's probability, most where the teacher
likes it better than the student; β = 0 is a constant gate of one half, which pulls towards the rollout itself.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, Look, Objective, View
from rlsd_cli.arms.tokens import Credit, Tokens


class Options(Objective):
    """SDAR's objective."""

    weight: Annotated[float, Field(ge=0, description="c; the authors' scripts have 0.1 and 0.01")] = 0.1
    gate_beta: Annotated[float, Field(ge=0, description="β of the gate, per nat")] = 5.0


def gated_pull(tokens: Tokens, options: Options) -> Credit:
    """Return the second term's loss of each token (B, T), with gradient through the student."""
    import torch

    scored = tokens.scored()
    gain = (tokens.teachers["teacher"] - tokens.student).masked_fill(scored == 0, 0.0)
    gate = torch.sigmoid(options.gate_beta * gain.detach())
    return Credit(
        options.weight * gate * gain,
        {
            "sdar/gate_mean": (gate, scored),
            "sdar/gate_active": ((gate > 0.5).float(), scored),
            "teacher/kl": (-gain, scored),
        },
    )


ARM = Arm(
    name="sdar",
    summary="GRPO's loss + c · gate(Δ_t)·(log P_T − log P_S) on the sampled tokens",
    data="on-policy",
    direction="both",
    look=Look(title="SDAR", colour="#999933", line=(2, 1, 2, 1, 6, 1), marker=">"),
    source="arXiv 2605.15155",
    docs="docs/arms.md#sdar",
    claims=("above_grpo",),
    options=Options,
    defaults={"teacher": {"source": "online", "reference": "solution"}},
    views={"teacher": View("reference")},
    penalty=gated_pull,
    like="grpo_opsd",
)
