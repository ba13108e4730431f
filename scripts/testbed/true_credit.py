"""The positive control of token credit: GRPO with the true advantage of each step, by resampled continuations.

    rlsd train --method scripts.testbed.true_credit --preset micro-credit

With ``objective.epsilon_w`` the credit is bounded as RLSD's is: Â_t = A·clip(w_t, 1−ε_w, 1+ε_w), where w_t is the
step's true advantage in units of the completion's mean size of one, positive where it has the sign of A. No teacher
under the same clip can know more.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, Look, Objective


class Options(Objective):
    """How the credit is estimated and bounded."""

    continuations: Annotated[int, Field(ge=1, description="from the start of each step")] = 8
    epsilon_w: Annotated[float, Field(ge=0, lt=1, description="bound, as RLSD's")] | None = None


ARM = Arm(
    name="scripts.testbed.true_credit",
    summary="the true advantage of each step, by resampled continuations (VinePPO)",
    data="on-policy",
    direction="environment",
    look=Look(title="True credit", colour="#000000", line=(1, 1), marker="*"),
    source="arXiv 2410.01679",
    options=Options,
    trainer="scripts.testbed.true_credit_trainer:TrueCreditTrainer",
)
