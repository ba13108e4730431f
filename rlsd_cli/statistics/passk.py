"""pass@k: the chance that at least one of k samples is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pass_at_k(correct: ArrayLike, samples: int, k: int) -> NDArray:
    """Return the unbiased estimate of pass@k per question, 1 − C(n−c, k) / C(n, k) (Chen et al. 2021, eq. 1).

    The quotient of binomials is a product of k factors below one, so nothing overflows.

    Args:
        correct: (n_questions,), number of right samples c of each question.
        samples: n, samples of each question.
        k: Draws without replacement.

    Returns:
        (n_questions,), in [0, 1].

    Raises:
        ValueError: Not 1 ≤ k ≤ n, or a count outside 0…n.
    """
    counts = np.asarray(correct)
    if not 1 <= k <= samples:
        raise ValueError(f"pass@k needs 1 ≤ k ≤ samples, got k = {k} and {samples} samples")
    if counts.size and (counts.min() < 0 or counts.max() > samples):
        raise ValueError(f"counts of right answers must lie between 0 and {samples}")
    wrong = samples - counts[..., None]
    draws = np.arange(k)
    return 1.0 - np.clip((wrong - draws) / (samples - draws), 0.0, 1.0).prod(axis=-1)
