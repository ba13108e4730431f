"""OPSD: distil the open-book model into the closed-book model, on the student's rollouts (arXiv 2601.18734).

    loss = mean_t D(π(· | x, r, y_<t) ‖ π(· | x, y_<t))

What changes against GRPO: the reward is logged but gives no gradient; the divergence to the
teacher is the whole loss. Variants by options: forward KL (default), reverse KL, JSD; full
vocabulary, top-k and tail, teacher's top-1, student's top-1; an upper bound for each entry.
"""

from __future__ import annotations

from rlsd_cli.arms import Arm, DivergenceOptions, Look, View
from rlsd_cli.arms.options import chosen_divergence

ARM = Arm(
    name="opsd",
    summary="a divergence to the same model with the reference in its prompt",
    data="on-policy",
    direction="teacher",
    look=Look(title="OPSD", colour="#D55E00", line=(1.2, 0.9), marker="^"),
    source="arXiv 2601.18734",
    docs="docs/arms.md#opsd",
    options=DivergenceOptions,
    defaults={"teacher": {"source": "online", "reference": "solution"}},
    views={"teacher": View("reference")},
    divergence=chosen_divergence,
    like="",
)
