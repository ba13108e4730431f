"""How a policy changes: its entropy, its length, the share of clipped evidence weights."""

from __future__ import annotations

import math

import numpy as np

from rlsd_cli.report.claims.base import Claim, Measured, NotTestable, seeds_of
from rlsd_cli.report.claims.estimates import over_seeds
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.measures import fifths, matched
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.verdicts import signed

CLIP_BY_DENOMINATOR = (
    ("of all tokens, as the official code counts", "rlsd/weight_clip_low_all+rlsd/weight_clip_high_all"),
    ("of tokens with an advantage", "rlsd/weight_clip_low+rlsd/weight_clip_high"),
)


@measure
def entropy_above(comparison: Comparison, claim: Claim) -> Measured:
    """Measure an arm's entropy after the first fifth against another's; the margin is a share of that one's loss."""
    first, second = (chosen(comparison, selector) for selector in claim.arms)
    seeds, left, right = matched(fifths(first, "entropy"), fifths(second, "entropy"))
    loss = over_seeds(right[:, 0] - right[:, -1])
    start = float(right[:, 0].mean())
    told = (
        f"{second.label}'s entropy {start:.5f} in the first fifth, {right[:, -1].mean():.5f} nats per token in the "
        f"last, loss {signed(loss.interval(), 5)}"
    )
    wanted = claim.options["collapse"] * start
    if loss.known and loss.interval().high < wanted:
        raise NotTestable(
            f"{told}, certainly less than the {claim.options['collapse']:g} of its first value that would make it a "
            f"collapse {seeds_of(seeds)}"
        )
    gap = over_seeds((left - right)[:, 1:].mean(axis=1))
    return Measured(
        [Part("gap", gap, claim.margin.value * float(right[:, 0].mean() - right[:, 1:].mean()))],
        f"after the first fifth {first.label} {left[:, 1:].mean():.5f}, {second.label} {right[:, 1:].mean():.5f} nats "
        f"per token, difference {signed(gap.interval(), 5)}; {told} {seeds_of(seeds)}",
    )


@measure
def length_kept(comparison: Comparison, claim: Claim) -> Measured:
    """Measure an arm's length in the last fifth over another's, minus 1."""
    first, second = (chosen(comparison, selector) for selector in claim.arms)
    key = "completions/mean_length"
    seeds, left, right = matched(fifths(first, key), fifths(second, key))
    if (right[:, -1] <= 0).any():
        raise Missing(f"{second.label} writes nothing")
    change = over_seeds(left[:, -1] / right[:, -1] - 1)
    return Measured(
        [Part("relative difference", change, claim.margin.value)],
        f"length in the last fifth {left[:, -1].mean():.1f} tokens, {second.label}'s {right[:, -1].mean():.1f}; "
        f"relative difference {signed(change.interval())} {seeds_of(seeds)}",
    )


@measure
def clip_ratio(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the share of clipped weights in the last fifth over that in the first, as a logarithm.

    The authors count all tokens, metrics.jsonl also those of rollouts with an advantage. The first decides where it is
    logged, since the paper's own numbers are that; both are told.
    """
    variant = chosen(comparison, claim.arms[0])
    told, parts, absent = [], [], ""
    for name, key in CLIP_BY_DENOMINATOR:
        try:
            part, sentence = _clip_change(variant, key, name, claim)
        except Missing as reason:
            absent = str(reason)
            continue
        parts.append(part)
        told.append(sentence)
    if not parts:
        raise Missing(absent)
    return Measured(parts[:1], "; ".join(told))


def _clip_change(variant: Variant, key: str, name: str, claim: Claim) -> tuple[Part, str]:
    seeds, values = fifths(variant, key)
    if (values <= 0).any():
        raise Missing("no weight was clipped in some fifth of the training, so there is no ratio")
    logs = over_seeds(np.log(values[:, -1] / values[:, 0]))
    ratio = logs.interval().mapped(math.exp).shown(digits=2)
    shares = ", ".join(f"{share:.3f}" for share in values.mean(axis=0))
    sentence = f"share clipped {name}, by fifths of the training {shares}; last over first {ratio} "
    return Part(name, logs, math.log(claim.margin.value)), sentence + seeds_of(seeds)
