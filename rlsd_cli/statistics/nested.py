"""Interval of a mean over seeds whose questions are their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rlsd_cli.statistics.intervals import Interval, t_interval


def nested_interval(seeds: Sequence[ArrayLike], confidence: float = 0.95) -> Interval:
    """Return the interval of the mean of seed means, where each seed has other questions.

    The spread of the seed means holds both what differs between seeds and what differs between their questions, so
    Student's t over them is right whatever the parts. With two or three seeds it is sometimes far too narrow by chance;
    it is never taken as narrower than Student's t over all questions, which leaves out the seeds.

    Args:
        seeds: For each seed one number per question, (n_questions,).
        confidence: Coverage.

    Returns:
        The interval with ``n`` the number of questions. With one seed it covers questions only.

    Raises:
        ValueError: There is no seed, or one without questions.
    """
    arrays = [np.asarray(seed, dtype=float) for seed in seeds]
    if not arrays or any(array.size == 0 for array in arrays):
        raise ValueError("expected at least one seed, each with questions")
    means = [float(array.mean()) for array in arrays]
    mean = float(np.mean(means))
    # Around the mean of seed means, also where seeds have unequal numbers of questions.
    parts = (t_interval(means, confidence), t_interval(np.concatenate(arrays), confidence))
    known = [part.high - part.mean for part in parts if part.known]
    half = max(known) if known else float("nan")
    return Interval(mean, mean - half, mean + half, sum(array.size for array in arrays))
