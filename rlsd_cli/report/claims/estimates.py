"""A number over training seeds with its standard error: intervals and one-sided p-values that agree with each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from rlsd_cli.statistics import Interval

LEVEL = 0.05  # of a two-sided test: an interval of 95 %


@dataclass(frozen=True)
class Estimate:
    """A mean with Student's t around it.

    Attributes:
        mean: The number.
        error: Standard error; NaN where one seed gives none.
        freedom: Degrees of freedom.
        seeds: Training seeds.
    """

    mean: float
    error: float
    freedom: float
    seeds: int

    @property
    def known(self) -> bool:
        """Whether there is an error at all."""
        return self.seeds > 1 and math.isfinite(self.error)

    def p_above(self, bound: float) -> float:
        """Return the one-sided p-value against "the number is at most ``bound``"; 1 where no error is known."""
        return self._tail(self.mean - bound)

    def p_below(self, bound: float) -> float:
        """Return the one-sided p-value against "the number is at least ``bound``"; 1 where no error is known."""
        return self._tail(bound - self.mean)

    def _tail(self, distance: float) -> float:
        from scipy.special import stdtr

        if not self.known:
            return 1.0
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(stdtr(self.freedom, -distance / self.error))

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the interval that a two-sided test at ``level`` belongs to."""
        from scipy.special import stdtrit

        if not self.known:
            return Interval(self.mean, math.nan, math.nan, self.seeds)
        half = float(stdtrit(self.freedom, 1 - level / 2)) * self.error
        return Interval(self.mean, self.mean - half, self.mean + half, self.seeds)

    def minus(self, bound: float) -> Estimate:
        """Return the distance above ``bound``."""
        return replace(self, mean=self.mean - bound)

    def negative(self) -> Estimate:
        """Return the number with the other sign."""
        return replace(self, mean=-self.mean)


def over_seeds(values: ArrayLike, *, grid: float = 0.0, trials: int = 0) -> Estimate:
    """Return the mean of one number per seed.

    Equal numbers in every seed look certain and are not, where the number can't take any value. Both floors say so.

    Args:
        values: (n_seeds,).
        grid: The distance of the values that a seed's number can take, such as a twentieth of the training: each is
            known to within it, which adds grid²/12 to its variance (Sheppard).
        trials: The number of yes-or-no outcomes of all seeds, for a share: its error is at least the binomial one,
            with two successes and two failures added (Agresti and Coull 1998).
    """
    array = np.asarray(values, dtype=float)
    n = array.size
    mean = float(array.mean())
    if n < 2:
        return Estimate(mean, math.nan, math.nan, n)
    error = math.sqrt((float(array.var(ddof=1)) + grid**2 / 12) / n)
    return Estimate(mean, max(error, binomial_error(mean, trials)), n - 1, n)


def binomial_error(share: float, trials: int) -> float:
    """Return the standard error of a share of ``trials``, two successes and two failures added; 0 without trials."""
    if not trials:
        return 0.0
    near = (min(max(share, 0.0), 1.0) * trials + 2) / (trials + 4)
    return math.sqrt(near * (1 - near) / (trials + 4))


def from_interval(interval: Interval, questions: int) -> Estimate:
    """Return the estimate behind a 95 % interval over seeds and questions.

    Its degrees of freedom are not kept, so those of the seeds stand for them: at 95 % the two agree, beyond it the
    estimate is the more cautious one.

    Args:
        interval: Of a difference of accuracies; ``n`` counts the seeds.
        questions: On which it rests; equal answers to all of them leave the binomial error.
    """
    if not interval.known or interval.n < 2:
        return Estimate(interval.mean, math.nan, math.nan, interval.n)
    from scipy.special import stdtrit

    freedom = interval.n - 1
    error = (interval.high - interval.low) / 2 / float(stdtrit(freedom, 1 - LEVEL / 2))
    floor = binomial_error(0.0, questions) if error == 0 else 0.0
    return Estimate(interval.mean, max(error, floor), freedom, interval.n)
