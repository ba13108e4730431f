"""Intervals of statistics that are no plain means: delete a group of units, compute again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.statistics.intervals import Interval, t_quantile

GROUPS = 200  # up to so many questions it is the plain jackknife


def jackknife(
    statistics: Callable[[NDArray], Mapping[str, float]],
    units: Sequence[str],
    groups: int = GROUPS,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Return each statistic with the interval of the delete-a-group jackknife over units.

    The units are dealt at random (with a fixed seed) to G = min(``groups``, units) groups. With θ_g the
    statistic without group g, the variance is (G−1)/G · Σ_g (θ_g − θ̄)² (Kott 2001, Journal of Official
    Statistics 17), and the interval Student's with one degree of freedom less than groups that move the
    statistic. For a mean over at most ``groups`` units of one row each it is the t interval.

    Args:
        statistics: From the kept rows' indices (n_kept,) to numbers by name.
        units: (n,), what each row belongs to; rows of one unit are not independent.
        groups: At most so many groups.
        confidence: Coverage.

    Returns:
        By name; the ends are NaN where fewer than two groups move the statistic, or where it is not
        defined without some group.

    Raises:
        ValueError: There is no row.
    """
    if not len(units):
        raise ValueError("the jackknife needs at least one row")
    names, index = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    count = min(groups, len(names))
    group_of = (np.random.default_rng(0).permutation(len(names)) % count)[index]
    rows = np.arange(len(units))
    whole = statistics(rows)
    parts = [statistics(rows[group_of != group]) for group in range(count)] if count > 1 else []
    found = {}
    for name, value in whole.items():
        low = high = float("nan")
        values = np.array([part.get(name, np.nan) for part in parts])
        moved = int(np.sum(~np.isclose(values, value, rtol=0, atol=1e-12)))
        if moved > 1 and np.all(np.isfinite(values)):
            variance = (count - 1) / count * float(((values - values.mean()) ** 2).sum())
            half = float(t_quantile(confidence, moved - 1)) * variance**0.5
            low, high = value - half, value + half
        found[name] = Interval(value, low, high, len(names))
    return found
