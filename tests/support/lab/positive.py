"""Positive-only GRPO: Â = max(A, 0). No teacher, one option."""

from typing import Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, Look, Objective
from rlsd_cli.arms.tokens import Credit, Tokens


class Options(Objective):
    negative_share: Annotated[float, Field(ge=0, le=1)] = 0.0


def credit(tokens: Tokens, options: Options) -> Credit:
    kept = tokens.advantage.clamp(min=0) + options.negative_share * tokens.advantage.clamp(max=0)
    return Credit(kept.unsqueeze(1).expand_as(tokens.mask))


ARM = Arm(
    name="positive",
    summary="GRPO that learns from right answers only",
    data="on-policy",
    direction="environment",
    look=Look(title="Positive", colour="#DDCC77", line=(1, 3), marker="1"),
    options=Options,
    credit=credit,
)
