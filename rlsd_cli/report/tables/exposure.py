"""What each arm took over from decoys, in bits, beside GRPO, which saw none."""

from __future__ import annotations

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.exposure import Exposed, all_exposed, interval, minus, over_placebo, placebo_of
from rlsd_cli.report.style import styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.statistics import Interval, p_text

COLUMNS = ("Decoys seen in", "Questions", "Excess, bits", "Since step 0", "− GRPO", "Follows − unseen, points")
SEEN = {True: "", False: " (not seen)", None: " (?)"}


def _difference(found: Interval | None) -> Cell:
    return Cell.signed(found) if found else Cell()


def _follows(one: Exposed, step: int) -> Cell:
    decoy, others = one.values(step, "follow"), one.values(step, "follow_unseen")
    points = {seed: 100 * (decoy[seed] - others[seed]) for seed in decoy if seed in others}
    return Cell.signed(interval(points)) if points else Cell()


def exposure_bits(comparison: Comparison) -> Table:
    """Return the excess exposure at the last step, its change since step 0 and its difference from GRPO's.

    Raises:
        Missing: No run has exposure.
    """
    found = all_exposed(comparison)
    names, placebo = styles([one.variant for one in found]), placebo_of(found)
    rows = []
    for one in found:
        last, first = one.steps[-1], one.steps[0]
        at_end = one.values(last)
        excess = interval(at_end)
        cell = Cell.signed(excess)
        rows.append(
            (
                f"{names[one.variant.label].name} (n={len(at_end)})",
                [
                    Cell(text=f"{one.text}{SEEN[one.shown]}"),
                    Cell(text=str(excess.n)),
                    Cell(value=cell.value, low=cell.low, high=cell.high, text=f"({p_text(one.p(last))})"),
                    _difference(minus(at_end, one.values(first))) if last > first else Cell(),
                    _difference(over_placebo(one, placebo, last)) if one is not placebo else Cell(),
                    _follows(one, last),
                ],
            )
        )
    caption = (
        "Exposure of decoys at the last step: how far the student prefers, closed-book, the wrong reference that its "
        "teacher alone saw to wrong ones drawn alike that nobody saw; 0 bits: nothing was taken over "
        "(docs/exposure.md) [95 % interval, questions and seeds as clusters; one-sided p by randomisation]. Not seen: "
        "a placebo, expected at 0. Since step 0, and − GRPO: of the same questions, so without the chance in which "
        "candidate was drawn. Follows: share of samples that answer the decoy, minus that of an unseen one."
    )
    notes = [] if placebo else ["GRPO, the placebo, has no exposure here."]
    return Table("exposure_bits", caption, COLUMNS, rows, notes)
