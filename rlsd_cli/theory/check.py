"""One line of the report: a statement, what was measured, and how it came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "fails", "measured"]


@dataclass(frozen=True)
class Check:
    """A statement of the paper (or of ours) and its measurement.

    Attributes:
        source: Where the statement stands, for example "Theorem 1".
        statement: In our own words.
        measured: The number that decides, with its name and unit in ``quantity``.
        quantity: What ``measured`` is.
        tolerance: The bound that ``measured`` must not exceed; None where there is no yes or no.
        verdict: ``measured`` where there is no tolerance.
        must_hold: Whether a failure is a failure of the code (a proven identity), not a finding about the paper.
        note: What else there is to know, one sentence.
    """

    source: str
    statement: str
    measured: float
    quantity: str
    tolerance: float | None
    verdict: Verdict
    must_hold: bool
    note: str = ""


def at_most(
    source: str,
    statement: str,
    measured: float,
    quantity: str,
    tolerance: float,
    *,
    must_hold: bool = True,
    note: str = "",
) -> Check:
    """Return the check that ``measured`` is at most ``tolerance``; NaN fails."""
    verdict: Verdict = "holds" if measured <= tolerance else "fails"
    return Check(source, statement, measured, quantity, tolerance, verdict, must_hold, note)


def finding(source: str, statement: str, measured: float, quantity: str, note: str = "") -> Check:
    """Return a measurement without a yes or no."""
    return Check(source, statement, measured, quantity, None, "measured", False, note)
