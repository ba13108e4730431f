r"""Numbers with a relative tolerance."""

from __future__ import annotations

import math

from rlsd_cli.verifiers.answers import answer_of, state
from rlsd_cli.verifiers.exact import normalise
from rlsd_cli.verifiers.quantity import read_quantity
from rlsd_cli.verifiers.units import ratio
from rlsd_cli.verifiers.verdict import Verdict

RELATIVE_TOLERANCE = 1e-3


def parse_number(text: str) -> float | None:
    r"""Return the one number that ``text`` is (units and separators aside), None if it is not one number.

    >>> parse_number(r"\frac{1}{4}"), parse_number("1,200 cm"), parse_number("50\\%"), parse_number("2 or 3")
    (0.25, 1200.0, 0.5, None)
    """
    number = read_quantity(text).number
    if number is None:
        return None
    return float(number.value / 100 if number.percent else number.value)


def close(value: float, gold: float, tolerance: float) -> bool:
    """Return whether ``value`` is within ``tolerance`` of ``gold``, relative to gold (absolute where gold is 0)."""
    return math.isfinite(value) and abs(value - gold) <= tolerance * (abs(gold) or 1.0)


def verify_numeric(text: str, gold: str, tolerance: float = RELATIVE_TOLERANCE) -> Verdict:
    r"""Judge the stated answer as a number.

    A percentage is a hundredth; a gold without the sign also accepts the bare number of percent,
    because data sets write "50" and "50%" for the same thing.

    Args:
        text: The whole completion.
        gold: The gold answer; where it is no number, the strings are compared.
        tolerance: Largest relative error that counts as right.
    """
    stated, gold = state(text), answer_of(gold)
    if not stated.answer:
        return Verdict(False, "", stated.how)
    mine, theirs = read_quantity(stated.answer), read_quantity(gold)
    value, target = parse_number(stated.answer), parse_number(gold)
    if mine.number is None or theirs.number is None or value is None or target is None:
        same = bool(gold) and normalise(stated.answer) == normalise(gold)
        return Verdict(
            same, stated.answer, f"{stated.how}: {'the same text' if same else 'one of the two is no number'}"
        )
    scale = ratio(mine.unit, theirs.unit)
    if scale is None:
        return Verdict(False, stated.answer, f"{stated.how}: another unit")
    candidates = [value * float(scale)]
    if mine.number.percent != theirs.number.percent:
        candidates.append(value * 100 if mine.number.percent else value / 100)
    right = any(close(each, target, tolerance) for each in candidates)
    return Verdict(
        right, stated.answer, f"{stated.how}: {'within' if right else 'outside'} the tolerance {tolerance:g}"
    )
