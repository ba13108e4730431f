"""Where an arm's heaviest blame lies."""

from __future__ import annotations

from rlsd_cli.report.claims.base import Claim, Measured, seeds_of
from rlsd_cli.report.claims.estimates import from_interval, over_seeds
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.credit.blame import measured, pooled
from rlsd_cli.report.missing import Missing


@measure
def blame_at_error(comparison: Comparison, claim: Claim) -> Measured:
    """Measure how often the heaviest blame lies at or just after a planted wrong step, the own reference being seen.

    Every seed is scored on the same derivations, so the interval is over both; where only counts are known, the error
    is at least the binomial one of the derivations, not of their sum.
    """
    variant = chosen(comparison, claim.arms[0])
    kind = str(variant.option("teacher.reference", "answer"))
    found = {seed: each[kind] for seed, each in measured(variant).items() if kind in each}
    if not found:
        raise Missing(f"no run of {variant.label} has credit/planted.json with its own reference")
    derivations, total = max(each.n for each in found.values()), pooled(variant, kind)
    if total.hits is not None and len(found) > 1:
        rate = from_interval(total.interval, derivations)
    else:  # of older files only counts are known
        rate = over_seeds([each.near / each.n for each in found.values()], trials=derivations)
    chance = max(each.chance for each in found.values())
    shown = rate.interval().within(0.0, 1.0)
    return Measured(
        [Part("rate", rate, max(claim.margin.value, chance))],
        f"{shown.shown()} of {derivations} derivations, by chance {chance:.3f} {seeds_of(tuple(found))}",
    )
