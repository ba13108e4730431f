"""Table 3, a row at a time: stable, still gaining, leakage-free, each against the paper's mark."""

from __future__ import annotations

from rlsd_cli.report.claims.base import Claim, Measured, seeds_of
from rlsd_cli.report.claims.registry import measure
from rlsd_cli.report.claims.rules import Part
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import properties

PROPERTIES = ("stability", "improvement", "leakage_free")


@measure
def table_row(comparison: Comparison, claim: Claim) -> Measured:
    """Measure each cell of a row as its distance from the threshold, on the paper's side of it."""
    from rlsd_cli.report.claims.properties import MEASURED

    variant = chosen(comparison, claim.arms[0])
    marks = properties()[claim.options["row"]]
    parts, told, absent = [], [], []
    for name in PROPERTIES:
        try:
            measured = MEASURED[name](variant)
        except Missing as reason:
            absent.append(str(reason))
            continue
        agrees = measured.yes if marks[name] == "yes" else measured.yes.negative()
        parts.append(Part(name, agrees, 0.0))
        told.append(f"{name.replace('_', '-')}: paper {marks[name]}, ours {measured.verdict} ({measured.evidence})")
    if not parts:
        raise Missing("; ".join(absent))
    changes = "; ".join(told)
    return Measured(parts, f"{changes} {seeds_of(variant.seeds)}")
