"""GRPO + OPSD: the two losses added (arXiv 2604.03128, the paper's baseline of the same name).

    loss = GRPO + α · mean_t D(π(· | x, r, y_<t) ‖ π(· | x, y_<t))

What changes against GRPO: a second term, with OPSD's teacher. The paper does not give its mixing
coefficient; α = 1, both at their own scale, is our choice (docs/arms.md).
"""

from __future__ import annotations

from rlsd_cli.arms import Arm
from rlsd_cli.training.distillation import DistillationTrainer, DivergenceOptions


class Options(DivergenceOptions):
    """OPSD's options, with GRPO's loss beside the divergence."""

    policy_weight: float = 1.0


ARM = Arm(
    name="grpo_opsd",
    summary="GRPO's loss + α · OPSD's divergence",
    data="on-policy",
    direction="both",
    trainer=DistillationTrainer,
    options=Options,
    defaults={"teacher": {"source": "online", "reference": "solution"}},
)
