"""The three properties of Table 3, each as a number whose sign decides: above 0 is a yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rlsd_cli.report.claims.estimates import Estimate, over_seeds
from rlsd_cli.report.claims.registry import thresholds
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.measures import blocks, fifths, left_out_peak, rollouts_per_fifth
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.verdicts import judge, signed


@dataclass(frozen=True)
class Property:
    """A property of an arm's training: the distance from its threshold, and the numbers in words."""

    yes: Estimate
    evidence: str

    @property
    def verdict(self) -> str:
        """``yes``, ``no`` or ``undecided``, each by itself at 95 %."""
        return judge(self.yes.interval())


def stability(variant: Variant) -> Property:
    """Measure how much of what it gained on its own objective the arm gives back by the end.

    By tenths of the training; the best tenth of each seed is chosen by the other seeds.

    Raises:
        Missing: It logs neither a divergence nor a reward.
    """
    for key, sign, name in (("distillation/loss", -1.0, "divergence"), ("reward", 1.0, "reward")):
        try:
            _, values = blocks(variant, key)
        except Missing:
            continue
        best, _ = left_out_peak(sign * values)
        gained, lost = best - sign * values[:, 0], best - sign * values[:, -1]
        told = f"{name} gained {signed(over_seeds(gained).interval())}, gave back {signed(over_seeds(lost).interval())}"
        return Property(over_seeds(thresholds()["given_back"] * gained - lost), told)
    raise Missing(f"{variant.label} logs neither a divergence nor a reward often enough")


def improvement(variant: Variant) -> Property:
    """Measure the accuracy of the rollouts, last fifth minus middle fifth.

    Raises:
        Missing: It logs no reward.
    """
    _, values = fifths(variant, "reward")
    change = over_seeds(values[:, -1] - values[:, 2])
    return Property(change.minus(thresholds()["change"]), signed(change.interval()))


def leakage_free(variant: Variant) -> Property:
    """Measure the leakage in the last fifth of the training.

    Raises:
        Missing: It counts none.
    """
    seeds, values = fifths(variant, "leakage/rate")
    rate = over_seeds(values[:, -1], trials=len(seeds) * rollouts_per_fifth(variant))
    shown = rate.interval().within(0.0, 1.0)
    return Property(rate.minus(thresholds()["leak_free"]).negative(), shown.shown())


MEASURED: dict[str, Callable[[Variant], Property]] = {
    "stability": stability,
    "improvement": improvement,
    "leakage_free": leakage_free,
}
