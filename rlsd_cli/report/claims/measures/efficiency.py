"""What an arm spends until it is as good as another: generated tokens, rollouts, seconds; and whether it stays so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.report.claims.base import Claim, Measured, NotTestable, seeds_of
from rlsd_cli.report.claims.estimates import Estimate, over_seeds
from rlsd_cli.report.claims.measures.course import PARTS, reward_and_peak
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.cost import spent
from rlsd_cli.report.measures import blocks, fifths, matched
from rlsd_cli.report.verdicts import signed

STEPS_OF_A_PART = 5
UNKNOWN = Estimate(0.0, math.nan, 0, 0)  # bars "seen", which needs every part


def first_reached(rewards: NDArray, ends: NDArray, levels: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return what each seed has spent when a part of its training first reaches its level.

    Args:
        rewards: (n_seeds, n_parts) means over equal parts of the training.
        ends: (n_seeds, n_parts) what is spent by the end of each part.
        levels: (n_seeds,).

    Returns:
        (n_seeds,) spent, all of it where the level is never reached; whether it is; and what that part itself took.
    """
    above = rewards >= levels[:, None]
    reached: NDArray = np.any(above, axis=1)
    place = np.where(reached, above.argmax(axis=1), rewards.shape[1] - 1)
    rows = np.arange(len(rewards))
    width = ends[rows, place] - np.where(place > 0, ends[rows, np.maximum(place - 1, 0)], 0.0)
    return ends[rows, place], reached, width


def _course(variant: Variant, unit: str) -> tuple[tuple[int, ...], NDArray]:
    """Return the seeds, and by parts of the training the reward and what is spent by their end: (n_seeds, 2, n_parts).

    A part has five steps, or more where there would be more than a hundred parts; there are twenty at least.
    """
    own, total = spent(variant, unit)
    parts = max(PARTS, min(100, total.shape[1] // STEPS_OF_A_PART))
    both, rewards, total = matched(blocks(variant, "reward", parts), (own, total))
    last = [part[-1] for part in np.array_split(np.arange(total.shape[1]), parts)]
    return both, np.stack([rewards, total[:, last]], axis=1)


@measure
def spent_to_reach(comparison: Comparison, claim: Claim) -> Measured:
    """Measure what the first arm spends until it is where the second ends, over what that one spends to be there.

    Options: ``unit`` (tokens, rollouts, seconds), ``change`` (how far below the end still counts), ``share`` (of what
    the second arm gains; 1 where it is not said). A seed that never gets there has spent at least all it did: enough to
    call a claim not seen, and never to call it seen.
    """
    first, second = (chosen(comparison, selector) for selector in claim.arms)
    unit, change = str(claim.options["unit"]), float(claim.options["change"])
    share = float(claim.options.get("share", 1.0))
    found = ratio_to_reach(first, second, unit, change, share, claim.margin.value)
    parts = [Part("log ratio", found.log_ratio, math.log(claim.margin.value))]
    told = ""
    if found.never:
        parts.append(Part("seeds that never get there", UNKNOWN, math.log(claim.margin.value)))
        told = f"; {found.never} of {len(found.seeds)} seeds of {first.label} never get there, so the ratio is higher"
    ratio = found.log_ratio.interval().mapped(math.exp).shown(digits=2)
    return Measured(
        parts,
        f"{first.label} spends {found.ours:.3g} {unit}, {second.label} {found.theirs:.3g} until a reward of "
        f"{found.level:.3f}; ratio {ratio}{told} {seeds_of(found.seeds)}",
    )


@dataclass(frozen=True)
class Reached:
    """What two arms spend until a reward, means over seeds, and the logarithm of their ratio.

    ``never`` counts the seeds of the first that don't get there, which have all that they spent in its place.
    """

    seeds: tuple[int, ...]
    level: float
    ours: float
    theirs: float
    log_ratio: Estimate
    never: int


def ratio_to_reach(
    first: Variant, second: Variant, unit: str, change: float, share: float = 1.0, margin: float = 0.0
) -> Reached:
    """Return what ``first`` spends until it is where ``second`` ends, and what that one spends itself.

    Args:
        first: An arm.
        second: The arm whose end is the level.
        unit: See `rlsd_cli.report.cost.spent`.
        change: How far below the end still counts.
        share: Of what the second arm gains, for the first one's level.
        margin: The ratio that is to be told apart.

    Raises:
        Missing: Something is not logged, or the two share no seed.
        NotTestable: The second arm gains nothing, or the first is there too soon for the ratio to be told apart.
    """
    ours, theirs = _course(first, unit), _course(second, unit)
    end = fifths(second, "reward")[1][:, -1]
    gain = over_seeds(end - theirs[1][:, 0, 0])
    if gain.known and gain.interval().low <= change:
        raise NotTestable(
            f"{second.label} does not certainly gain more than {change:g} ({signed(gain.interval())}), so there is "
            "no accuracy to be reached"
        )
    seeds, left, right = matched(ours, theirs)
    last = end[[theirs[0].index(seed) for seed in seeds]]
    start = right[:, 0, 0]
    levels = start + share * (last - start) - change
    mine, reached, width = first_reached(left[:, 0], left[:, 1], levels)
    whole = levels if share == 1 else last - change
    yours, _, their_width = first_reached(right[:, 0], right[:, 1], whole)
    if ((mine == left[:, 1, 0]) & (margin * yours < mine)).any():
        raise NotTestable(
            f"{second.label} is there after {yours.mean():.3g} {unit} and {first.label} within its first "
            f"{left[:, 1, 0].mean():.3g}, the shortest part of a training that is told apart"
        )
    # Either is known to the part in which it gets there.
    grid = math.sqrt(float(np.mean((width / mine) ** 2 + (their_width / yours) ** 2)))
    logs = over_seeds(np.log(mine / yours), grid=grid)
    never = int((~reached).sum())
    return Reached(seeds, float(levels.mean()), float(mine.mean()), float(yours.mean()), logs, never)


@measure
def fall_over_steps(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the fall from the peak to the end; with fewer steps than ``steps`` it can be refuted, not seen."""
    variant = chosen(comparison, claim.arms[0])
    seeds, values, peak = reward_and_peak(variant)
    fall = over_seeds(peak - values[:, -1])
    parts = [Part("fall", fall, claim.margin.value)]
    wanted, ran = int(claim.options["steps"]), min(run.step for run in variant.runs)
    told = f"over {ran} steps"
    if ran < wanted:
        parts.append(Part("the rest of the steps", UNKNOWN, claim.margin.value))
        told += f" of the {wanted} that the claim is about"
    return Measured(
        parts,
        f"reward {peak.mean():.3f} at the peak, {values[:, -1].mean():.3f} at the end {told}; fall "
        f"{signed(fall.interval())} {seeds_of(seeds)}",
    )
