"""A metric over steps: mean over the seeds of a variant with its t band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.missing import Missing
from rlsd_cli.statistics import t_band

SMOOTHED_FROM = 50  # steps; shorter curves are shown as they are
WINDOW = 5  # steps of the running mean that the axis states


@dataclass(frozen=True)
class Curve:
    """One variant's metric; ``low`` and ``high`` are NaN with one seed.

    ``steps``, ``mean``, ``low``, ``high``: (n_steps,). ``seeds``: (n_seeds, n_steps). ``window``: steps averaged.
    """

    steps: NDArray
    mean: NDArray
    low: NDArray
    high: NDArray
    seeds: NDArray
    window: int


def running_mean(values: NDArray, window: int) -> NDArray:
    """Return the centred running mean along the last axis; at the ends, over the part of the window that there is.

    Args:
        values: (..., n_steps).
        window: Odd number of steps.

    Raises:
        ValueError: ``window`` is even or below 1.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"the window must be odd and at least 1, not {window}")
    n = values.shape[-1]
    start = np.maximum(np.arange(n) - window // 2, 0)
    stop = np.minimum(np.arange(n) + window // 2 + 1, n)
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    return (total[..., stop] - total[..., start]) / (stop - start)


def seed_matrix(variant: Variant, key: str) -> tuple[NDArray, NDArray, tuple[int, ...]]:
    """Return the steps (n_steps,) that all seeds logged, the values (n_seeds, n_steps), and the seeds.

    Runs without the metric are left out; the seeds say which are in.

    Raises:
        Missing: No run of the variant has the metric, or the runs share no step.
    """
    found = {run.seed: run.series(key) for run in variant.runs}
    found = {seed: pair for seed, pair in found.items() if len(pair[0])}
    if not found:
        raise Missing(f"{variant.label} logs no {key}")
    steps = common_steps([pair[0] for pair in found.values()])
    if len(steps) == 0:
        raise Missing(f"the runs of {variant.label} share no step with {key}")
    rows = [values[np.searchsorted(own, steps)] for own, values in found.values()]
    return steps, np.stack(rows), tuple(found)


def common_steps(arrays: list[NDArray]) -> NDArray:
    """Return the sorted values that all arrays hold."""
    common = arrays[0]
    for array in arrays[1:]:
        common = np.intersect1d(common, array)
    return common


def curve(variant: Variant, key: str, smooth: bool = True) -> Curve:
    """Return a variant's metric over steps.

    A metric of each step is averaged over 5 steps (centred) where there are at least 50; the axis must then
    say so. Bands are made of the smoothed seeds. Metrics of probe steps are never smoothed.

    Raises:
        Missing: See `seed_matrix`.
    """
    steps, values, _ = seed_matrix(variant, key)
    dense = len(steps) >= SMOOTHED_FROM and np.all(np.diff(steps) == 1)
    window = WINDOW if smooth and dense else 1
    values = running_mean(values, window)
    mean, low, high = t_band(values)
    return Curve(steps, mean, low, high, values, window)
