"""OPD: distil a larger model on the student's rollouts (on-policy distillation, arXiv 2306.13649).

    loss = mean_t D(P_teacher(· | x, y_<t) ‖ π(· | x, y_<t))

What changes against OPSD: the teacher is another model and sees what the student sees: nothing
is privileged. It must share the student's vocabulary. Reverse KL by default, as in TRL.
"""

from __future__ import annotations

from rlsd_cli.arms import Arm, DivergenceOptions, Look, View
from rlsd_cli.arms.options import chosen_divergence


class Options(DivergenceOptions):
    """OPD's objective."""

    beta: float = 1.0


ARM = Arm(
    name="opd",
    summary="a divergence to a larger model that sees the student's prompt",
    data="on-policy",
    direction="teacher",
    look=Look(title="OPD", colour="#009E73", line=(3, 1, 1, 1), marker="D"),
    source="arXiv 2306.13649",
    docs="docs/arms.md#opd",
    options=Options,
    views={"teacher": View("prompt", weights="external")},
    divergence=chosen_divergence,
    like="",
)
