"""SDPG: GRPO, a small divergence to the open-book model, and an anchor to the initial policy (arXiv 2606.04036).

    loss = GRPO + β · mean_t KL(π(· | x, y_<t) ‖ π(· | x, r, y_<t)) + (α/2) · mean_t (log π(y_t) − log π_0(y_t))²

What changes against GRPO+OPSD: reverse KL with a weight of a thousandth (with a schedule, if asked for, and in rollouts
with A > 0 only, if asked for), and the anchor, whose gradient is that of KL(π ‖ π_0) on the sampled tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, DivergenceOptions, Look, View
from rlsd_cli.arms.options import chosen_divergence
from rlsd_cli.arms.tokens import Credit, Distributions, Tokens

if TYPE_CHECKING:
    from torch import Tensor

Weight = Annotated[float, Field(ge=0)]


class Options(DivergenceOptions):
    """SDPG's objective. Defaults are those of the authors' script."""

    beta: Annotated[float, Field(ge=0, le=1, description="0 forward KL, 1 reverse KL, between: JSD")] = 1.0
    policy_weight: Weight = 1.0
    distillation_weight: Annotated[Weight, Field(description="β of the paper")] = 0.001
    anchor_weight: Annotated[Weight, Field(description="α of the paper")] = 0.001
    positive_only: bool = Field(default=False, description="distil rollouts with A > 0 only")


def gated_divergence(seen: Distributions, options: Options) -> Tensor:
    """Return each token's divergence (n,), 0 where it is gated off."""
    loss = chosen_divergence(seen, options)
    return loss * (seen.advantage > 0) if options.positive_only else loss


def anchor(tokens: Tokens, options: Options) -> Credit:
    """Return (α/2)·(log π − log π_0)² of each token (B, T)."""
    apart = tokens.student - tokens.teachers["initial"]
    return Credit(options.anchor_weight / 2 * apart.square(), {"sdpg/apart": (apart, tokens.mask)})


ARM = Arm(
    name="sdpg",
    summary="GRPO's loss + β · KL(student ‖ open book) + (α/2)·(log π/π_0)²",
    data="on-policy",
    direction="both",
    look=Look(title="SDPG", colour="#44AA99", line=(4, 1, 1, 1, 1, 1, 1, 1), marker="h"),
    source="arXiv 2606.04036",
    docs="docs/arms.md#sdpg",
    claims=("above_grpo", "keeps_entropy"),
    options=Options,
    defaults={"teacher": {"source": "online", "reference": "solution"}, "train": {"aggregation": "token"}},
    views={"teacher": View("reference", logps=False), "initial": View("prompt", weights="frozen")},
    penalty=anchor,
    divergence=gated_divergence,
    like="grpo_opsd",
)
