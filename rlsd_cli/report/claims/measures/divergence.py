"""The KL to the teacher: at its lowest, and at the end, over its first value."""

from __future__ import annotations

import math

import numpy as np

from rlsd_cli.report.claims.base import Claim, Measured, seeds_of
from rlsd_cli.report.claims.estimates import over_seeds
from rlsd_cli.report.claims.measures.course import PARTS
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.measures import blocks, left_out_peak
from rlsd_cli.report.missing import Missing


@measure
def lowest_kl(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the KL at its lowest over that at the start."""
    return _ratio(chosen(comparison, claim.arms[0]), claim, lowest=True)


@measure
def final_kl(comparison: Comparison, claim: Claim) -> Measured:
    """Measure the KL at the end over that at the start."""
    return _ratio(chosen(comparison, claim.arms[0]), claim, lowest=False)


def _ratio(variant: Variant, claim: Claim, *, lowest: bool) -> Measured:
    """Return the logarithm of a ratio of KLs; the lowest part is, as for peaks, chosen by the other seeds."""
    try:
        seeds, values = blocks(variant, "teacher/kl_forward", PARTS)
    except Missing:
        seeds, values = blocks(variant, "distillation/loss", PARTS)
    if (values <= 0).any():
        raise Missing(f"the divergence of {variant.label} is not positive throughout, so it has no ratio")
    at = -left_out_peak(-values)[0] if lowest else values[:, -1]
    logs = over_seeds(np.log(at / values[:, 0]))
    ratio = logs.interval().mapped(math.exp).shown(digits=2)
    minimum = f"{at.mean():.3f} at the lowest, " if lowest else ""
    return Measured(
        [Part("log ratio", logs, math.log(claim.margin.value))],
        f"{variant.label}: {values[:, 0].mean():.3f} nats per token at the start, {minimum}"
        f"{values[:, -1].mean():.3f} at the end; {'lowest' if lowest else 'end'} over start {ratio} "
        f"{seeds_of(seeds)}",
    )
