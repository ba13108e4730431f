"""SFT: maximum likelihood of the reference solutions (off-policy).

    loss = −mean_t log π(y*_t | x, y*_<t)

What changes against GRPO: nothing is sampled. Each step takes the same prompts as the other arms
of the seed, one solution for each. Reward, leakage and entropy come from the probe.
"""

from __future__ import annotations

from rlsd_cli.arms import Arm, Look

ARM = Arm(
    name="sft",
    summary="maximum likelihood of the reference solutions",
    data="off-policy",
    direction="teacher",
    look=Look(title="SFT", colour="#56B4E9", line=(5, 1, 1, 1, 1, 1), marker="v"),
    docs="docs/arms.md#sft",
    learns_solutions=True,
    trainer="rlsd_cli.training.sft:ReferenceTrainer",
    like="",
)
