"""GRPO + OPSD: the two losses added (arXiv 2604.03128, the paper's baseline of the same name).

    loss = GRPO + α · mean_t D(π(· | x, r, y_<t) ‖ π(· | x, y_<t))

What changes against GRPO: a second term, with OPSD's teacher. The paper does not give its mixing
coefficient; α = 1, both at their own scale, is our choice (docs/arms.md).
"""

from __future__ import annotations

from rlsd_cli.arms import Arm, DivergenceOptions, Look, View
from rlsd_cli.arms.options import chosen_divergence


class Options(DivergenceOptions):
    """OPSD's options, with GRPO's loss beside the divergence."""

    policy_weight: float = 1.0


ARM = Arm(
    name="grpo_opsd",
    summary="GRPO's loss + α · OPSD's divergence",
    data="on-policy",
    direction="both",
    look=Look(title="GRPO+OPSD", colour="#CC79A7", line=(6, 1.5, 1, 1.5), marker="X"),
    source="arXiv 2604.03128",
    docs="docs/arms.md#grpo_opsd",
    options=Options,
    defaults={"teacher": {"source": "online", "reference": "solution"}},
    views={"teacher": View("reference")},
    divergence=chosen_divergence,
    like="",
)
