"""GRPO: the baseline. A_i = (R_i − μ_G) / σ_G in the clipped surrogate, no teacher, no KL term.

Inherited from TRL as it is; source: arXiv 2402.03300, with the paper's clip range 0.2/0.28.
"""

from __future__ import annotations

from rlsd_cli.arms import Arm, Look

ARM = Arm(
    name="grpo",
    summary="A = (R − μ)/σ for every token of a completion",
    data="on-policy",
    direction="environment",
    look=Look(title="GRPO", colour="#000000", line=(5, 1.5), marker="s"),
    source="arXiv 2402.03300",
    docs="docs/arms.md#grpo",
    like="",
)
