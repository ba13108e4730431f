"""The course of the reward: a rise, a peak, a fall."""

from __future__ import annotations

from numpy.typing import NDArray

from rlsd_cli.report.claims.base import Claim, Measured, seeds_of
from rlsd_cli.report.claims.estimates import over_seeds
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.measures import blocks, fifths, left_out_peak
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.verdicts import signed

PARTS = 20  # of the training, for peaks: 10 steps each of 200


def reward_and_peak(variant: Variant) -> tuple[tuple[int, ...], NDArray, NDArray]:
    """Return the seeds, the reward by twentieths (n_seeds, 20), and at the twentieth where the other seeds peak."""
    seeds, values = blocks(variant, "reward", PARTS)
    return seeds, values, left_out_peak(values)[0]


@measure
def rise_and_fall(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the rise to the peak and the fall from it."""
    seeds, values, peak = reward_and_peak(chosen(comparison, claim.arms[0]))
    rise, fall = over_seeds(peak - values[:, 0]), over_seeds(peak - values[:, -1])
    return Measured(
        [Part("rise", rise, claim.margin.value), Part("fall", fall, claim.margin.value)],
        f"reward {values[:, 0].mean():.3f} at the start, {peak.mean():.3f} at the peak, {values[:, -1].mean():.3f} at "
        f"the end; rise {signed(rise.interval())}, fall {signed(fall.interval())} {seeds_of(seeds)}",
    )


@measure
def rise(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the reward in the last fifth minus that in the first."""
    seeds, values = fifths(chosen(comparison, claim.arms[0]), "reward")
    gain = over_seeds(values[:, -1] - values[:, 0])
    return Measured(
        [Part("gain", gain, claim.margin.value)],
        f"reward {values[:, 0].mean():.3f} in the first fifth, {values[:, -1].mean():.3f} in the last; gain "
        f"{signed(gain.interval())} {seeds_of(seeds)}",
    )


@measure
def place_of_peak(comparison: Comparison, claim: Claim) -> Measured:
    """Measure after which share of the training each seed's reward is highest."""
    seeds, values, peak = reward_and_peak(chosen(comparison, claim.arms[0]))
    fall = over_seeds(peak - values[:, -1])
    if fall.known and fall.interval().high <= claim.options["fall"]:
        raise Missing(f"{claim.arms[0]} does not fall from a peak")
    # A seed's place is known to a twentieth: equal places in all seeds are no certainty.
    place = over_seeds((values.argmax(axis=1) + 0.5) / PARTS, grid=1 / PARTS)
    shown = place.interval().within(0.0, 1.0)
    return Measured(
        [Part("place", place, claim.margin.value)],
        f"peak after {shown.shown(percent=True, digits=0)} % of the training, each seed's known to a twentieth "
        f"{seeds_of(seeds)}",
    )
