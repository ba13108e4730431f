"""Questions that hang together: values per unit whose mean is the mean over the questions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def by_unit(values: ArrayLike, units: ArrayLike) -> NDArray:
    """Return values per unit, for intervals that take units as independent.

    The mean over questions is a ratio of two sums over units, so each unit counts with its linearised value
    ȳ + (U/Q)·Σ_{q in u} (y_q − ȳ) (Cochran, Sampling Techniques, 1977, section 6.3): its mean over units is ȳ, and
    its spread is that of the ratio. With one question per unit the values stay as they are.

    Args:
        values: (n_seeds, n_questions).
        units: (n_questions,), what each question belongs to.

    Returns:
        (n_seeds, n_units), units in sorted order; the questions in their own order where each is a unit.

    Raises:
        ValueError: The two differ in the number of questions.
    """
    array, names = np.asarray(values, dtype=float), np.asarray(units)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ValueError(f"expected (n_seeds, n_questions) and (n_questions,), got {array.shape} and {names.shape}")
    unique, index = np.unique(names, return_inverse=True)
    if len(unique) == len(names):
        return array
    mean = array.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(index, weights=row) for row in array - mean])
    return mean + sums * len(unique) / len(names)
