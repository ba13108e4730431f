"""OPSD: distil the open-book model into the closed-book model, on the student's rollouts (arXiv 2601.18734).

    loss = mean_t D(π(· | x, r, y_<t) ‖ π(· | x, y_<t))

What changes against GRPO: the reward is logged but gives no gradient; the divergence to the
teacher is the whole loss. Variants by options: forward KL (default), reverse KL, JSD; full
vocabulary, top-k and tail, teacher's top-1, student's top-1; an upper bound for each entry.
"""

from __future__ import annotations

from rlsd_cli.arms import Arm
from rlsd_cli.training.distillation import DistillationTrainer, DivergenceOptions

ARM = Arm(
    name="opsd",
    summary="a divergence to the same model with the reference in its prompt",
    data="on-policy",
    direction="teacher",
    trainer=DistillationTrainer,
    options=DivergenceOptions,
    defaults={"teacher": {"source": "online", "reference": "solution"}},
)
