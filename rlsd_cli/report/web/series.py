"""The curves that lie in the page once and that all charts and the table of a step take their numbers from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.curves import curve
from rlsd_cli.report.figures.paired import paired
from rlsd_cli.report.missing import Missing

POINTS = 200  # of a curve; longer ones are thinned
DIGITS = 4  # significant ones


@dataclass
class Series:
    """Curves by key and arm, each with steps, the mean over seeds, and the seeds where there are several."""

    curves: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def add(self, key: str, variants: Iterable[Variant]) -> list[str]:
        """Add a metric of some variants; return the labels of those that log it at two steps or more."""
        found = []
        for variant in variants:
            try:
                line = curve(variant, key)
            except Missing:
                continue
            if len(line.steps) > 1:
                self.curves.setdefault(key, {})[variant.label] = _plain(line.steps, line.mean, line.seeds)
                found.append(variant.label)
        return found

    def add_difference(self, key: str, first: Variant, second: Variant) -> str:
        """Add a variant minus another, paired by seed, and return its key.

        Raises:
            Missing: They share no seed or fewer than two steps.
        """
        pair = paired(first, second, key)
        name = f"{key}: {first.label} − {second.label}"
        self.curves[name] = {first.label: _plain(pair.steps, pair.values.mean(axis=0), pair.values)}
        return name

    @property
    def steps(self) -> list[int]:
        """Every step of a curve, ascending."""
        return sorted({step for arms in self.curves.values() for one in arms.values() for step in one["steps"]})


def _plain(steps: NDArray, mean: NDArray, seeds: NDArray) -> dict[str, Any]:
    every = max(1, -(-len(steps) // POINTS))
    chosen = np.unique(np.append(np.arange(0, len(steps), every), len(steps) - 1))
    several = seeds[:, chosen] if len(seeds) > 1 else seeds[:0]
    return {
        "steps": [int(step) for step in steps[chosen]],
        "mean": rounded(mean[chosen]),
        "seeds": [rounded(row) for row in several],
    }


def rounded(values: Sequence[float] | NDArray, digits: int = DIGITS) -> list[float | None]:
    """Return numbers as the page holds them: a few significant digits, None for what is none."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]
