"""credit/planted.json of the runs of a comparison: by variant, and summed over seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.evaluation.blame import ERRORS, Errors, Placement, placements
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.missing import Missing


def measured(variant: Variant, errors: Errors = "planted") -> dict[int, dict[str, Placement]]:
    """Return the measurements of a variant's runs by seed, without the runs that have none."""
    found = {run.seed: placements(run.directory, errors) for run in variant.runs}
    return {seed: each for seed, each in found.items() if each}


def pooled(variant: Variant, reference: str, errors: Errors = "planted") -> Placement:
    """Return the sum over a variant's seeds.

    Raises:
        Missing: No run was measured with this reference.
    """
    found = [each[reference] for each in measured(variant, errors).values() if reference in each]
    if not found:
        raise Missing(f"{variant.label} has no credit/planted.json (`rlsd eval RUN_DIR --planted 400`)")
    sizes = [each.n for each in found]

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=sizes))

    # Seeds that were scored on the same derivations, in their order; others can only be counted.
    same = all(each.hits is not None and each.n == sizes[0] for each in found)
    chances = [each.chances for each in found]
    same = same and all(np.array_equal(each, chances[0]) for each in chances)  # type: ignore[arg-type]
    return Placement(
        hits=np.concatenate([each.hits for each in found if each.hits is not None]) if same else None,
        chances=chances[0] if same else None,
        seeds=len(found),
        counts=_summed([each.counts for each in found]),
        chance=mean([each.chance for each in found]),
        chance_same_step=mean([each.chance_same_step for each in found]),
        on_first_token=mean([each.on_first_token for each in found]),
    )


def _summed(counts: list[NDArray]) -> NDArray:
    """Add counts up; of own errors one model may have had longer rollouts than another."""
    rows, columns = (max(each.shape[axis] for each in counts) for axis in (0, 1))
    total = np.zeros((rows, columns), dtype=int)
    for each in counts:
        total[: each.shape[0], : each.shape[1]] += each
    return total


def variants_measured(comparison: Comparison) -> list[Variant]:
    """Return the variants that have a measurement.

    Raises:
        Missing: There is none.
    """
    found = [variant for variant in comparison.variants.values() if any(measured(variant, errors) for errors in ERRORS)]
    if not found:
        raise Missing("no run has credit/planted.json (`rlsd eval RUN_DIR --planted 400`)")
    return found
