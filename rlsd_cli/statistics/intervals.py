"""Intervals for a mean over seeds, for a share, and for accuracy clustered by question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """A mean with its confidence interval; ``low`` and ``high`` are NaN where ``n`` allows none."""

    mean: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, mean: float | None, ends: Sequence[float | None] | None, n: int = 0) -> Interval:
        """Return an interval from what a JSON file holds: a mean and two ends, None for what is not known."""
        low, high = ends if ends is not None and len(ends) == 2 else (None, None)
        known = [float("nan") if value is None else float(value) for value in (mean, low, high)]
        return cls(known[0], known[1], known[2], n)

    @property
    def known(self) -> bool:
        """Whether there is an interval at all (one observation has none)."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def ends(self) -> list[float] | None:
        """The two ends, None where there is no interval."""
        return [self.low, self.high] if self.known else None

    def shown(self, *, percent: bool = False, digits: int = 3, sign: bool = False) -> str:
        """Return the mean with its interval, as ``0.435 [0.368, 0.504]``; "–" stands for what is not known.

        Args:
            percent: Times 100; the unit is for the caller to say.
            digits: After the decimal point.
            sign: With a plus before what is not negative.

        >>> Interval(0.435, 0.368, 0.504, 200).shown(percent=True, digits=1)
        '43.5 [36.8, 50.4]'
        >>> Interval(0.5, float("nan"), float("nan"), 1).shown(digits=2)
        '0.50 [–, –]'
        """
        text, low, high = (
            f"{value * (100 if percent else 1):{'+' if sign else ''}.{digits}f}" if np.isfinite(value) else "–"
            for value in (self.mean, self.low, self.high)
        )
        return f"{text} [{low}, {high}]"

    def mapped(self, function: Callable[[float], float]) -> Interval:
        """Return the interval of an increasing function of what it is about, such as the ratio of a logarithm."""
        return Interval(function(self.mean), function(self.low), function(self.high), self.n)

    def within(self, low: float, high: float) -> Interval:
        """Return the interval cut to what is possible; cutting it does not change what it covers."""
        return self._replace(low=max(self.low, low), high=min(self.high, high)) if self.known else self


def t_quantile(confidence: float, freedom: float | NDArray) -> NDArray:
    """Return the two-sided Student-t quantile.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    from scipy.special import stdtrit

    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return stdtrit(freedom, 0.5 + confidence / 2)


def t_band(values: ArrayLike, confidence: float = 0.95) -> tuple[NDArray, NDArray, NDArray]:
    """Return mean, lower and upper end at each step: Student t with n − 1 degrees of freedom over the seeds.

    Args:
        values: (n_seeds, n_steps), no NaN.
        confidence: Coverage at each single step (pointwise, not of the whole curve).

    Returns:
        Three arrays of shape (n_steps,); with one seed the ends are NaN.

    Raises:
        ValueError: The shape is not (n_seeds ≥ 1, n_steps).
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 2 or len(array) == 0:
        raise ValueError(f"expected (n_seeds, n_steps) with at least one seed, got shape {array.shape}")
    mean = array.mean(axis=0)
    if len(array) == 1:
        nothing = np.full_like(mean, np.nan)
        return mean, nothing, nothing
    half = t_quantile(confidence, len(array) - 1) * array.std(axis=0, ddof=1) / np.sqrt(len(array))
    return mean, mean - half, mean + half


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the Student-t interval of a mean.

    Args:
        values: (n,), one independent number per seed (or per question).
        confidence: Coverage.

    Raises:
        ValueError: There is no value.
    """
    array = np.asarray(values, dtype=float).reshape(-1, 1)
    mean, low, high = t_band(array, confidence)
    return Interval(float(mean[0]), float(low[0]), float(high[0]), len(array))


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval for a share of independent trials.

    Raises:
        ValueError: ``successes`` is not between 0 and ``trials``, or there is no trial.
    """
    from scipy.special import ndtri

    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"expected 0 ≤ successes ≤ trials and trials ≥ 1, got {successes} of {trials}")
    share = successes / trials
    z2 = float(ndtri(0.5 + confidence / 2)) ** 2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = np.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    # At 0 and at `trials` one end is exact; rounding would leave 1e-17 there.
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == trials else float(centre + half)
    return Interval(share, low, high, trials)


def clustered_interval(values: ArrayLike, questions: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the interval of avg@k with the question as the unit: question means, then Student t over them.

    Pooling k samples of each question as if they were independent makes the interval up to √k times
    too narrow. When every answer is right (or every one wrong) the spread over questions is zero
    and says nothing; then Wilson's interval over the questions is returned.

    Args:
        values: (n_samples,), 0/1 or any score in [0, 1].
        questions: (n_samples,), the question that each value belongs to.
        confidence: Coverage.

    Returns:
        The mean of the question means, with ``n`` the number of questions.

    Raises:
        ValueError: The two arrays differ in length or are empty.
    """
    array, names = np.asarray(values, dtype=float), np.asarray(questions)
    if array.shape != names.shape or array.ndim != 1 or len(array) == 0:
        raise ValueError(f"expected two arrays of one length, got shapes {array.shape} and {names.shape}")
    unique, index = np.unique(names, return_inverse=True)
    means = np.bincount(index, weights=array) / np.bincount(index)
    if len(unique) > 1 and np.all(means == means[0]) and means[0] in (0.0, 1.0):
        return wilson_interval(int(means.sum()), len(unique), confidence)
    return t_interval(means, confidence)
