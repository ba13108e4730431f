r"""Numbers with a relative tolerance."""

from __future__ import annotations

import math
import re

from rlsd_cli.tasks.base import Verdict
from rlsd_cli.verifiers.exact import normalise
from rlsd_cli.verifiers.extract import stated_answer

RELATIVE_TOLERANCE = 1e-3
FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([^{}]+?)\s*\}\s*\{\s*([^{}]+?)\s*\}")
TIMES_TEN = re.compile(r"\s*(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{?\s*([+-]?\d+)\s*\}?")
PLAIN = r"[+-]?(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
NUMBER = re.compile(
    rf"(?:[a-z]\w*\s*=\s*)?(?P<sign>-?)\s*[$€£]?\s*(?P<top>{PLAIN})(?:\s*/\s*(?P<bottom>{PLAIN}))?\s*(?P<unit>\D*)"
)


def parse_number(text: str) -> float | None:
    r"""Return the one number that ``text`` is (units and separators aside), None if it is not one number.

    >>> parse_number(r"\frac{1}{4}"), parse_number("1,200 cm"), parse_number("50\\%"), parse_number("2 or 3")
    (0.25, 1200.0, 0.5, None)
    """
    text = TIMES_TEN.sub(r"e\1", FRACTION.sub(r"\1/\2", text.replace("−", "-").replace("\\%", "%")))
    match = NUMBER.fullmatch(normalise(text))
    if not match:
        return None
    value = float(match["top"].replace(",", ""))
    if match["bottom"]:
        divisor = float(match["bottom"].replace(",", ""))
        if divisor == 0:
            return None
        value /= divisor
    value = -value if match["sign"] else value
    return value / 100 if match["unit"].startswith("%") else value


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
    extracted = stated_answer(text)
    value, target = parse_number(extracted), parse_number(gold)
    if target is None or value is None:
        return Verdict(correct=bool(extracted) and normalise(extracted) == normalise(gold), extracted=extracted)
    candidates = [value]
    if ("%" in extracted) != ("%" in gold):
        candidates.append(value * 100 if "%" in extracted else value / 100)
    return Verdict(correct=any(close(each, target, tolerance) for each in candidates), extracted=extracted)
