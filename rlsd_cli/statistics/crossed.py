"""Interval of a mean over seeds × questions, when every seed answered the same questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rlsd_cli.statistics.intervals import Interval, t_quantile


def crossed_interval(strata: Sequence[ArrayLike], confidence: float = 0.95) -> Interval:
    """Return the interval of a mean whose seeds and questions both are samples.

    Model: y[s, q] = μ + a_s + b_q + e_sq. The variance of the grand mean is σ_a²/S + σ_b²/Q + σ_e²/(SQ). The spread of
    the seed means estimates the first and last part, with S − 1 degrees of freedom; that of the question means, less
    the rest, the second. Each part gets its own Student quantile, and the two half-widths are added in quadrature:
    with two or three seeds the seeds' part is small by chance too often for one quantile with Satterthwaite's degrees
    of freedom, which covers 87 to 92 % with two seeds where this covers 96 to 99 %
    (tests/statistics/test_coverage.py). An interval over the questions alone would leave out that another training
    seed gives another model; one over the seeds alone would leave out that other questions could have been asked.
    Several suites are strata with equal weight: the result is about the plain mean of the suites.

    Args:
        strata: One array (n_seeds, n_questions) per suite, all with the same seeds in the same order;
            entries are question means, or paired differences between two arms.
        confidence: Coverage.

    Returns:
        The interval with ``n`` the number of seeds. With one seed it covers questions only; with one
        question in each suite, seeds only; with one of both there is none.

    Raises:
        ValueError: No stratum, an empty one, or different numbers of seeds.
    """
    arrays = [np.asarray(stratum, dtype=float) for stratum in strata]
    if not arrays or any(array.ndim != 2 or array.size == 0 for array in arrays):
        raise ValueError("expected at least one non-empty array of shape (n_seeds, n_questions)")
    seeds = len(arrays[0])
    if any(len(array) != seeds for array in arrays):
        raise ValueError(f"the suites differ in their number of seeds: {[len(array) for array in arrays]}")
    weight = 1 / len(arrays)
    by_seed = np.mean([array.mean(axis=1) for array in arrays], axis=0)  # (n_seeds,)
    mean = float(by_seed.mean())

    seed_part = float(by_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    question_part = rest_part = 0.0
    freedom_terms = []
    for array in arrays:
        questions = array.shape[1]
        if questions == 1:
            continue
        part = weight**2 * float(array.mean(axis=0).var(ddof=1)) / questions
        question_part += part
        freedom_terms.append((part, questions - 1))
        if seeds > 1:
            residual = array - array.mean(axis=0) - array.mean(axis=1, keepdims=True) + array.mean()
            freedom = (seeds - 1) * (questions - 1)
            rest_part += weight**2 * float((residual**2).sum()) / freedom / (seeds * questions)
    if seeds == 1 and question_part == 0.0:
        return Interval(mean, float("nan"), float("nan"), seeds)
    spread = sum(part**2 / freedom for part, freedom in freedom_terms)
    of_questions = float(t_quantile(confidence, question_part**2 / spread)) if spread > 0 else 0.0
    of_seeds = float(t_quantile(confidence, seeds - 1)) if seeds > 1 else 0.0
    # Both parts hold the rest once, so it is taken off once; chance must not push the sum below either part.
    widths = (of_seeds**2 * seed_part, of_questions**2 * question_part)
    half = max(widths[0] + of_questions**2 * (question_part - rest_part), *widths) ** 0.5
    return Interval(mean, mean - half, mean + half, seeds)
