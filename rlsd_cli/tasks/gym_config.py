"""The ``task.gym`` section: which generators of reasoning-gym ask the questions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


class GymConfig(BaseModel):
    """Questions of reasoning-gym as a task (docs/smollm2.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sets: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="name of a generator: its settings; questions are asked in turn; null leaves a preset's out",
    )
    held_out: Annotated[int, Field(ge=1)] = Field(default=100, description="questions per generator for evaluation")
    instruction: str = Field(
        default="Think briefly, then write the final answer after 'Answer:'.", description="the system turn; none if ''"
    )
    shots: Annotated[int, Field(ge=0)] = Field(default=0, description="answered examples before the question")
    max_completion_tokens: Annotated[int, Field(ge=1)] = 64

    @field_validator("sets", mode="before")
    @classmethod
    def drop_left_out(cls, value: Any) -> Any:
        """Drop the generators that are set to null."""
        if not isinstance(value, dict):
            return {} if value is None else value
        return {name: settings for name, settings in value.items() if settings is not None}
