"""What other tools call the metrics that docs/metrics.md names; the others keep their names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

TRL = {"step_time": "time/step_s"}  # the others are ours, which are TRL's
VERL = {
    "critic/score/mean": "reward",  # before the penalty for the KL divergence, which critic/rewards holds
    "actor/entropy": "entropy",
    "actor/entropy_loss": "entropy",
    "actor/pg_loss": "loss",
    "actor/grad_norm": "grad_norm",
    "actor/lr": "learning_rate",
    "actor/pg_clipfrac": "clip_ratio/region_mean",
    "response_length/mean": "completions/mean_length",
    "response_length/min": "completions/min_length",
    "response_length/max": "completions/max_length",
    "response_length/clip_ratio": "completions/clipped_ratio",
    "timing_s/step": "time/step_s",
    "timing_s/gen": "time/rollout_s",
    "timing_s/update_actor": "time/update_s",
}
OPENRLHF = {
    "rollout/reward_mean": "reward",
    "rollout/reward_std": "reward_std",
    "rollout/response_length_mean": "completions/mean_length",
    "rollout/truncated_rate": "completions/clipped_ratio",
    "response_length": "completions/mean_length",
    "policy_loss": "loss",
    "entropy_loss": "entropy",
    "actor_lr": "learning_rate",
    "actor_grad_norm": "grad_norm",
    "ppo_clip_ratio": "clip_ratio/region_mean",
    "timing/step_total": "time/step_s",
    "timing/generation": "time/rollout_s",
    "timing/ppo_train": "time/update_s",
}
# What transformers says once, at the end, of the whole training.
OF_THE_END = {"train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos"}
NOT_METRICS = {"step", "epoch", "global_step", "global_step/max_steps", "percentage", *OF_THE_END}

LARGEST = 2**63
_NUMPY = re.compile(r"np\.\w+\((.*)\)")


def number(value: Any) -> float | int | None:
    """Return a value as a number, None where it is none; loggers write some as texts.

    >>> number("np.float64(0.5)"), number("1e-06"), number(True), number("10%")
    (0.5, 1e-06, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < LARGEST):
        return value
    if isinstance(value, str):
        match = _NUMPY.fullmatch(value.strip())
        try:
            return float(match.group(1) if match else value)
        except ValueError:
            return None
    return None


def whole(value: Any) -> int | None:
    """Return a value as a whole number from 0, None where it is none."""
    found = number(value)
    return int(found) if found is not None and math.isfinite(found) and found >= 0 and found == int(found) else None


def renamed(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the numbers of a record under our names; of several names for one thing, the first of ``names`` counts."""
    numbers = {key: value for key, text in record.items() if (value := number(text)) is not None}
    kept = {key: value for key, value in numbers.items() if key not in names and key not in NOT_METRICS}
    for theirs, ours in names.items():
        if theirs in numbers:
            kept.setdefault(ours, numbers[theirs])
    return {key: value if math.isfinite(value) else None for key, value in kept.items()}
