"""Options of objectives: bounds for every number, and a schedule for any coefficient. Nothing heavy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from rlsd_cli.config.layers import Section, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from rlsd_cli.arms.tokens import Distributions

Support = Literal["full", "top_k", "teacher_top_k", "teacher_top1", "student_top1", "sampled"]


LATER = ("mix_warmup_steps", "thought_only", "feedback")  # options that older runs don't know


class Schedule(Section):
    """A factor on a coefficient: 0 to 1 over the warm-up, then 1 to 0 over the decay; 0 steps mean none of it.

    After k steps of warm-up W and of decay D the factor is min(1, k/W) · max(0, 1 − max(0, k − W)/D).
    """

    warmup_steps: Annotated[int, Field(ge=0)] = 0
    decay_steps: Annotated[int, Field(ge=0)] = 0

    def factor(self, step: int) -> float:
        """Return the factor at optimisation step ``step``, from 1."""
        rise = min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0
        fall = max(0.0, 1 - max(0, step - self.warmup_steps) / self.decay_steps) if self.decay_steps else 1.0
        return rise * fall


class Objective(Section):
    """An arm's ``objective``: subclasses add its fields.

    ``objective.schedules.NAME.warmup_steps`` and ``.decay_steps`` schedule the number called NAME.
    """

    schedules: dict[str, Schedule] = Field(default_factory=dict, description="warm-up and decay, by coefficient")

    @model_validator(mode="after")
    def check_schedules(self) -> Self:
        """Only a number can be scheduled."""
        numbers = [name for name in type(self).model_fields if type(getattr(self, name)) is float]
        for name in self.schedules:
            if name not in numbers:
                raise ValueError(
                    f"there is no coefficient '{name[:100]}' to schedule{nearest(name, numbers)}; "
                    f"there are: {', '.join(numbers) or 'none'}"
                )
        return self

    def unused(self) -> set[str]:
        """Return the settings that say nothing as they are: stored configurations leave them out, as older runs do."""
        fields = type(self).model_fields
        usual = {name for name in LATER if name in fields and getattr(self, name) == fields[name].default}
        return usual if self.schedules else {"schedules", *usual}

    @model_serializer(mode="wrap")
    def leave_out_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what says something."""
        unused = self.unused()
        return {key: value for key, value in handler(self).items() if key not in unused}

    def at(self, step: int) -> Self:
        """Return the options with every coefficient as it is at optimisation step ``step``, from 1."""
        return self.model_copy(
            update={name: getattr(self, name) * schedule.factor(step) for name, schedule in self.schedules.items()}
        )


class NoOptions(Objective):
    """The objective of an arm that has no options of its own."""


class DivergenceOptions(Objective):
    """The objective of an arm that distils: which divergence, and its weight beside GRPO's loss."""

    support: Support = "full"
    beta: Annotated[float, Field(ge=0, le=1, description="0 forward KL, 1 reverse KL, between: JSD")] = 0.0
    top_k: Annotated[int, Field(ge=1)] = 100
    entry_clip: Annotated[float, Field(gt=0)] | None = None
    policy_weight: Annotated[float, Field(ge=0, description="weight of GRPO's loss")] = 0.0
    distillation_weight: Annotated[float, Field(ge=0, description="weight of the divergence, α")] = 1.0


def chosen_divergence(seen: Distributions, options: DivergenceOptions) -> Tensor:
    """Return the divergence that the options choose, (n,), teacher against student (`rlsd_cli.divergences`)."""
    from rlsd_cli.divergences import divergence, sampled_reverse_kl

    if options.support == "sampled":
        return sampled_reverse_kl(seen.student, seen.teacher, seen.ids)
    return divergence(
        seen.student,
        seen.teacher,
        support=options.support,
        beta=options.beta,
        top_k=options.top_k,
        entry_clip=options.entry_clip,
    )
