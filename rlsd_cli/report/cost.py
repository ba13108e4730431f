"""What a training has spent by each step: generated tokens, rollouts, seconds."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.curves import seed_matrix
from rlsd_cli.report.missing import Missing

Unit = Literal["tokens", "rollouts", "seconds"]
UNITS: tuple[str, ...] = get_args(Unit)


def rollouts_per_step(variant: Variant) -> int:
    """Return how many completions a step samples.

    Raises:
        Missing: The settings don't say.
    """
    sizes = [variant.option(f"train.{key}") for key in ("prompts_per_step", "group_size")]
    if not all(isinstance(size, int) for size in sizes):
        raise Missing(f"the settings of {variant.label} don't say how many rollouts a step has")
    return int(np.prod(sizes))


def spent(variant: Variant, unit: str) -> tuple[tuple[int, ...], NDArray]:
    """Return the seeds, and what each has spent by the end of each step: (n_seeds, n_steps).

    Args:
        variant: Its runs, which log every step.
        unit: ``tokens`` that were generated for training, ``rollouts``, or ``seconds`` of whole steps.

    Raises:
        Missing: The runs don't log it.
        ValueError: The unit is unknown.
    """
    if unit not in UNITS:
        raise ValueError(f"there is no cost in '{unit}'; there are: {', '.join(UNITS)}")
    if unit == "seconds":
        _, values, seeds = seed_matrix(variant, "time/step_s")
    else:
        _, values, seeds = seed_matrix(variant, "completions/mean_length" if unit == "tokens" else "reward")
        each = rollouts_per_step(variant)
        values = values * each if unit == "tokens" else np.full_like(values, each)
    return seeds, np.cumsum(values, axis=1)
