"""Per-seed numbers that tables and claims rest on: means over parts of the training, changes, peaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.evaluation.results import evaluations
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.curves import seed_matrix
from rlsd_cli.report.evaluations import step_of
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import Run
from rlsd_cli.statistics import Interval, t_interval

BLOCKS = 10
FIFTHS = 5


def blocks(variant: Variant, key: str, count: int = BLOCKS) -> tuple[tuple[int, ...], NDArray]:
    """Return the seeds, and the metric averaged over ``count`` equal parts of the training: (n_seeds, count).

    Raises:
        Missing: The metric is not logged, or at fewer than ``count`` steps.
    """
    steps, values, seeds = seed_matrix(variant, key)
    if len(steps) < count:
        raise Missing(f"{variant.label} logs {key} at {len(steps)} steps only, {count} are needed")
    parts = np.array_split(np.arange(len(steps)), count)
    return seeds, np.stack([values[:, part].mean(axis=1) for part in parts], axis=1)


def fifths(variant: Variant, key: str) -> tuple[tuple[int, ...], NDArray]:
    """Return the seeds, and the metric averaged over each fifth of the training: (n_seeds, 5).

    Raises:
        Missing: See `blocks`.
    """
    return blocks(variant, key, FIFTHS)


def rollouts_per_fifth(variant: Variant) -> int:
    """Return how many rollouts a seed samples in a fifth of its training; 0 where the settings don't say."""
    sizes = [variant.option(f"train.{key}") for key in ("steps", "prompts_per_step", "group_size")]
    if not all(isinstance(size, int) for size in sizes):
        return 0
    return int(np.prod(sizes)) // FIFTHS


def leakage_at_the_end(variant: Variant) -> tuple[Interval, str]:
    """Return leakage in the last fifth of the training, and a remark where it is that of something else.

    Arms that sample nothing while training (SFT) have it on the probe prompts only, the untrained model on the suites.

    Raises:
        Missing: None is logged often enough.
    """
    if not variant.trained:
        return t_interval([leakage_on_suites(run) for run in variant.runs]), "(suites)"
    try:
        return t_interval(fifths(variant, "leakage/rate")[1][:, -1]), ""
    except Missing:
        return t_interval(fifths(variant, "probe/leakage")[1][:, -1]), "(probes)"


def leakage_on_suites(run: Run) -> float:
    """Return the mean over the suites of the leakage that `rlsd eval` counted.

    Raises:
        Missing: The run was not evaluated.
    """
    shown = {each.suite: each for each in reversed(evaluations(run.directory)) if step_of(each, run) == run.step}
    rates = [float(each.summary["leakage_rate"]) for each in shown.values() if "leakage_rate" in each.summary]
    if not rates:
        raise Missing(f"{run.label} is not evaluated")
    return float(np.mean(rates))


def matched(
    ours: tuple[tuple[int, ...], NDArray], theirs: tuple[tuple[int, ...], NDArray]
) -> tuple[tuple[int, ...], NDArray, NDArray]:
    """Return the seeds that two variants share and both arrays' rows for them.

    Equal seeds draw equal questions, so differences are paired by seed.

    Raises:
        Missing: There is no common seed.
    """
    common = tuple(seed for seed in ours[0] if seed in theirs[0])
    if not common:
        raise Missing("the two arms share no seed")
    left = ours[1][[ours[0].index(seed) for seed in common]]
    right = theirs[1][[theirs[0].index(seed) for seed in common]]
    return common, left, right


def left_out_peak(values: NDArray) -> tuple[NDArray, NDArray]:
    """Return for each seed the value at the peak that the other seeds show, and the peak's block.

    The maximum of a noisy curve lies above its true peak, so "the maximum minus the end" is positive
    even for a flat curve. Choosing the block from the other seeds removes that bias. A single seed has
    no others: its own maximum is taken, which no interval surrounds.

    Args:
        values: (n_seeds, n_blocks).

    Returns:
        Values (n_seeds,) and block indices (n_seeds,).
    """
    n = len(values)
    places = np.empty(n, dtype=int)
    for seed in range(n):
        others = np.delete(values, seed, axis=0) if n > 1 else values
        places[seed] = int(np.argmax(others.mean(axis=0)))
    return values[np.arange(n), places], places
