"""Tests on shares: two runs against each other, and a trend over training steps. Pure functions.

They treat completions as independent trials. Completions of the same prompt are not quite that: with G samples per
prompt and a within-prompt correlation ρ the true variance is larger by up to 1 + (G − 1)·ρ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from rlsd_cli.statistics import wilson_interval


@dataclass(frozen=True)
class Trend:
    """A trend of a share over steps: ``z`` and ``p`` of the test, ``slope`` per step with its standard error."""

    z: float
    p: float
    slope: float
    slope_error: float


@dataclass(frozen=True)
class Difference:
    """Share B minus share A: Newcombe's 95 % interval, ``z`` of the pooled test (NaN at 0 variance), and ``p``."""

    difference: float
    low: float
    high: float
    z: float
    p: float
    test: str


def two_sided_p(z: float) -> float:
    """Return the two-sided p-value of a standard normal ``z``."""
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(z)))


def cochran_armitage(steps: Sequence[float], hits: Sequence[int], n: Sequence[int]) -> Trend | None:
    """Test for a linear trend of a share over steps (Cochran 1954, Armitage 1955; scores are the steps).

    Args:
        steps: (n_steps,) training steps.
        hits: (n_steps,) completions with a hit.
        n: (n_steps,) completions.

    Returns:
        The trend; None where it is undefined: fewer than two steps, or all or no completions have a hit.
        The slope is that of the least-squares line weighted by ``n``, its error from the binomial variances.
    """
    total, hit = sum(n), sum(hits)
    if len(set(steps)) < 2 or hit in (0, total):
        return None
    share = hit / total
    centre = sum(count * step for step, count in zip(steps, n, strict=True)) / total
    spread = sum(count * (step - centre) ** 2 for step, count in zip(steps, n, strict=True))
    moment = sum(found * (step - centre) for step, found in zip(steps, hits, strict=True))
    z = moment / sqrt(share * (1 - share) * spread)
    variance = sum(
        (step - centre) ** 2 * found * (1 - found / count)
        for step, found, count in zip(steps, hits, n, strict=True)
        if count
    )
    return Trend(z, two_sided_p(z), moment / spread, sqrt(variance) / spread)


def two_proportions(hits_a: int, n_a: int, hits_b: int, n_b: int) -> Difference:
    """Compare two shares: pooled z-test, or Fisher's exact test where an expected count is below 5.

    The interval is Newcombe's (1998, method 10), built from the two Wilson intervals.

    Raises:
        ValueError: A count is negative, too large, or there are no trials.
    """
    a, b = wilson_interval(hits_a, n_a), wilson_interval(hits_b, n_b)
    difference = b.mean - a.mean
    low = difference - sqrt((b.mean - b.low) ** 2 + (a.high - a.mean) ** 2)
    high = difference + sqrt((b.high - b.mean) ** 2 + (a.mean - a.low) ** 2)
    pooled = (hits_a + hits_b) / (n_a + n_b)
    variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    z = difference / sqrt(variance) if variance else float("nan")
    if min(n_a, n_b) * min(pooled, 1 - pooled) >= 5:
        return Difference(difference, low, high, z, two_sided_p(z), "two-proportion z-test (pooled)")
    from scipy.stats import fisher_exact

    p = float(fisher_exact([[hits_a, n_a - hits_a], [hits_b, n_b - hits_b]])[1])
    return Difference(difference, low, high, z, p, "Fisher's exact test")


def slopes_differ(a: Trend, b: Trend) -> tuple[float, float]:
    """Return z and the two-sided p-value of slope B minus slope A; (NaN, NaN) where neither has an error."""
    error = sqrt(a.slope_error**2 + b.slope_error**2)
    if not error:
        return float("nan"), float("nan")
    z = (b.slope - a.slope) / error
    return z, two_sided_p(z)
