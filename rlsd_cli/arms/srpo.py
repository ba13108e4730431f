"""SRPO: right rollouts learn by GRPO, wrong ones from a right sibling by SDPO (arXiv 2604.02288).

    loss = mean over all tokens of z·w_t·D(π(· | x, sibling, y_<t), π(· | x, y_<t)) + (1 − z)·(GRPO's loss)
    z = 1 for a wrong rollout that has a right sibling;   w_t ∝ exp(−β·H(π(· | x, sibling, y_<t))), of mean 1

What changes against SDPO: only wrong rollouts are distilled, and tokens count more where the teacher is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, DivergenceOptions, Look, View
from rlsd_cli.arms.options import Support, chosen_divergence
from rlsd_cli.arms.tokens import Credit, Distributions, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Options(DivergenceOptions):
    """SRPO's objective: SDPO's divergence as released, β as in the paper."""

    support: Support = "top_k"
    beta: Annotated[float, Field(ge=0, le=1)] = 0.5
    policy_weight: Annotated[float, Field(ge=0)] = 1.0
    entropy_beta: Annotated[float, Field(ge=0, description="β of the weight exp(−β·H)")] = 1.0


def token_credit(tokens: Tokens, options: Options) -> Credit:
    """Return A (B, T), 0 in the rollouts that are distilled."""
    routed = (~tokens.correct & tokens.present["teacher"]).to(tokens.advantage.dtype)
    credit = (tokens.advantage * (1 - routed)).unsqueeze(1).expand_as(tokens.mask)
    return Credit(credit, {"srpo/distilled": (routed.unsqueeze(1).expand_as(tokens.mask), tokens.mask)})


def weighted_divergence(seen: Distributions, options: Options) -> tuple[Tensor, Tensor]:
    """Return each token's divergence and its weight, 0 in right rollouts."""
    import torch

    entropy = torch.special.entr(seen.teacher.softmax(dim=-1)).sum(dim=-1)
    return chosen_divergence(seen, options), torch.exp(-options.entropy_beta * entropy) * ~seen.correct


ARM = Arm(
    name="srpo",
    summary="GRPO on right rollouts, SDPO weighted by the teacher's certainty on wrong ones",
    data="on-policy",
    direction="both",
    look=Look(title="SRPO", colour="#AA4499", line=(5, 2, 5, 2, 1, 2), marker="<"),
    source="arXiv 2604.02288",
    docs="docs/arms.md#srpo",
    claims=("above_grpo", "does_not_leak"),
    options=Options,
    defaults={"teacher": {"source": "ema", "ema_rate": 0.05}},
    views={"teacher": View("sibling:right")},
    credit=token_credit,
    divergence=weighted_divergence,
    like="sdpo",
)
