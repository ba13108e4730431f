"""The ``task.reward`` list."""

from __future__ import annotations

import math

from pydantic import Field, field_validator

from rlsd_cli.config.layers import Section, nearest
from rlsd_cli.config.outside import is_outside

BUILT_IN = ("accuracy", "format")


class RewardTerm(Section):
    """One term of the reward."""

    name: str = Field(description="accuracy, format, or package.module:function")
    weight: float = 1.0

    @field_validator("name")
    @classmethod
    def check_name(cls, name: str) -> str:
        """A term is built in, or names a function; nothing is imported here."""
        if name not in BUILT_IN and not is_outside(name):
            raise ValueError(
                f"there is no reward '{name[:100]}'{nearest(name, BUILT_IN)}; rewards: {', '.join(BUILT_IN)}, "
                "or a function of your own, as package.module:function"
            )
        return name

    @field_validator("weight")
    @classmethod
    def check_weight(cls, weight: float) -> float:
        """A weight is a number."""
        if not math.isfinite(weight):
            raise ValueError("a weight must be a finite number")
        return weight
