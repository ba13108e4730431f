"""Tests of paired differences, and the correction for making several of them."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT_UP_TO = 14  # 2^14 sign patterns are enumerated in milliseconds
CHUNK = 2_000


def sign_flip_p(differences: ArrayLike, resamples: int = 100_000, seed: int = 0) -> float:
    """Return the two-sided permutation p-value of "the mean difference is zero".

    Under the hypothesis each question's difference is as likely with the other sign. All sign patterns
    are enumerated for up to 14 non-zero differences (zeros don't matter); beyond, they are drawn and the
    observed pattern is counted among them, so that p is never zero.

    Args:
        differences: (n,), one number per question (mean over samples and seeds of arm A minus arm B).
        resamples: Number of random sign patterns.
        seed: Of the random patterns; equal input gives equal p.

    Raises:
        ValueError: There is no difference at all.
    """
    array = np.asarray(differences, dtype=float).ravel()
    if array.size == 0:
        raise ValueError("a paired test needs at least one question that both arms answered")
    array = array[array != 0]
    if array.size == 0:
        return 1.0
    observed = abs(array.sum())
    # Sums of the same numbers in another order differ in the last digits.
    threshold = observed - 1e-9 * np.abs(array).sum()
    if array.size <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=array.size)))
        return float(np.mean(np.abs(signs @ array) >= threshold))
    rng = np.random.default_rng(seed)
    total, hits, width = array.sum(), 0, -(-array.size // 8)
    for start in range(0, resamples, CHUNK):  # bounded memory for suites of thousands of questions
        size = min(CHUNK, resamples - start)
        coins = np.frombuffer(rng.bytes(size * width), dtype=np.uint8).reshape(size, width)
        flipped = np.unpackbits(coins, axis=1, count=array.size) @ array
        hits += int(np.sum(np.abs(total - 2 * flipped) >= threshold))
    return (hits + 1) / (resamples + 1)


def p_text(p: float) -> str:
    """Return ``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def holm(p_values: ArrayLike) -> NDArray:
    """Return Holm's adjusted p-values: the family-wise error of all tests together stays below α.

    Args:
        p_values: (m,), in any order.

    Returns:
        (m,), in the order given; each at least the raw p and at most 1.
    """
    array = np.asarray(p_values, dtype=float)
    order = np.argsort(array, kind="stable")
    scaled = array[order] * (array.size - np.arange(array.size))
    adjusted = np.empty_like(array)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if array.size else scaled
    return adjusted
