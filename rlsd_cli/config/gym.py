"""The ``task.gym`` section: which generators of reasoning-gym ask the questions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from rlsd_cli.config.layers import Section


class GymConfig(Section):
    """Questions of reasoning-gym as a task (docs/smollm2.md)."""

    sets: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="name of a generator: its settings; questions are asked in turn; null leaves a preset's out",
    )
    held_out: Annotated[int, Field(ge=1)] = Field(default=100, description="questions per generator for evaluation")
    instruction: str = Field(
        default="Think briefly, then write the final answer after 'Answer:'.", description="the system turn; none if ''"
    )
    shots: Annotated[int, Field(ge=0)] = Field(default=0, description="answered examples before the question")
    open_book: str = Field(
        default="{question}\n\nReference: {reference}\nSolve the problem yourself, in your own way.",
        description="the teacher's question, with the student's question and the reference in their places",
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] = 64

    @field_validator("instruction", mode="before")
    @classmethod
    def none_is_empty(cls, value: Any) -> Any:
        """A line ``instruction:`` without a value asks for none."""
        return "" if value is None else value

    @field_validator("open_book")
    @classmethod
    def check_places(cls, value: str) -> str:
        """The teacher must see both."""
        if "{question}" not in value or "{reference}" not in value:
            raise ValueError("it must hold {question} and {reference}")
        return value

    @field_validator("sets", mode="before")
    @classmethod
    def drop_left_out(cls, value: Any) -> Any:
        """Drop the generators that are set to null."""
        if not isinstance(value, dict):
            return {} if value is None else value
        return {name: settings for name, settings in value.items() if settings is not None}
