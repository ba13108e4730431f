r"""Mathematical equality: texts, numbers with units, and by math-verify in child processes what is more than a number.

What counts as the answer is `rlsd_cli.verifiers.answers`' matter: math-verify by itself takes any number of the
text, counts boxes inside ``<think>`` and merges adjacent boxes into a set.
"""

from __future__ import annotations

import re
from fractions import Fraction

from rlsd_cli.verifiers.answers import MAX_ANSWER_CHARS, answer_of, state
from rlsd_cli.verifiers.exact import normalise
from rlsd_cli.verifiers.pool import POOL, MathPool
from rlsd_cli.verifiers.quantity import Quantity, read_quantity, same_number
from rlsd_cli.verifiers.units import ratio
from rlsd_cli.verifiers.verdict import Verdict

CLOCK = re.compile(r"\d{1,2}:[0-5]\d(?::[0-5]\d)?")
APART = re.compile(r"\d\s+\d")  # LaTeX has no spaces: "6 3" would be read as 63
RULES = {
    "equal": (True, "equal as mathematics"),
    "different": (False, "not equal as mathematics"),
    "unread": (False, "one of the two can't be read as mathematics"),
    "late": (False, "the comparison took too long"),
    "": (False, "not compared yet"),
}


def same_text(answer: str, gold: str) -> bool:
    """Return whether two texts are equal after normalisation; ``5!`` is not ``5``."""
    return normalise(answer) == normalise(gold) and answer.rstrip("$ ").endswith("!") == gold.rstrip("$ ").endswith("!")


def is_mathematics(text: str) -> bool:
    """Tell whether a text is worth comparing as mathematics: it has no words of a sentence."""
    return not re.search(r"(?<![\\A-Za-z])[A-Za-z]{4,}\s+[A-Za-z]{2,}", re.sub(r"\\text\s*\{[^{}]*\}", "", text))


def whole(mine: Quantity, theirs: Quantity) -> str:
    """Return a value with its name, where the other side has an equals sign that the name belongs to."""
    if mine.name and (theirs.name or "=" in theirs.latex):
        return f"{mine.name} = {mine.latex}"
    return mine.latex


def same_value(answer: str, gold: str, pool: MathPool = POOL) -> tuple[bool, str]:
    """Return whether an answer is the gold one, and which rule says so.

    Raises:
        UserError: math-verify is not installed, and the two are no numbers.
    """
    if same_text(answer, gold):
        return True, "the same text"
    mine, theirs = read_quantity(answer), read_quantity(gold)
    scale = ratio(mine.unit, theirs.unit)
    if CLOCK.fullmatch(answer.strip(" $.")) and CLOCK.fullmatch(gold.strip(" $.")):
        found = False, "another time"
    elif scale is None:
        found = False, "another unit"
    elif mine.number and theirs.number:
        if len(mine.name) == len(theirs.name) == 1 and mine.name != theirs.name:
            found = False, "another variable"
        else:
            equal = same_number(mine.number, theirs.number, scale)
            found = equal, "the same number" if equal else "another number"
    else:
        found = same_expression(whole(mine, theirs), whole(theirs, mine), scale, pool)
    return found


def same_expression(answer: str, gold: str, scale: Fraction, pool: MathPool) -> tuple[bool, str]:
    """Return whether two LaTeX expressions are equal, the answer's times ``scale``, and which rule says so."""
    if not answer or not gold or APART.search(answer) or APART.search(gold):
        return RULES["unread"]
    if not is_mathematics(answer) or not is_mathematics(gold):
        return False, "another text"
    if scale != 1:
        answer = rf"\frac{{{scale.numerator}}}{{{scale.denominator}}} \cdot ({answer})"
    return RULES["equal" if answer == gold else pool.compare((answer, gold))]


def verify_math(text: str, gold: str, pool: MathPool = POOL) -> Verdict:
    r"""Judge the stated answer by mathematical equality.

    ``50\%`` equals both 0.5 and 50, ``1/3`` is not 0.333 but 0.333333, ``1,2`` is the set of both; where answer and
    gold both name a unit, it must be the same or a multiple (docs/data.md).

    Args:
        text: The whole completion.
        gold: The gold answer, or the solution that holds it.
        pool: What compares expressions.

    Raises:
        UserError: math-verify is not installed.
    """
    stated, target = state(text), answer_of(gold)
    if not stated.answer:
        return Verdict(False, "", stated.how)
    if not target or len(target) > MAX_ANSWER_CHARS:
        return Verdict(
            False, stated.answer, "the gold answer is empty" if not target else "the gold answer is too long"
        )
    correct, why = same_value(stated.answer, target, pool)
    return Verdict(correct, stated.answer, f"{stated.how}: {why}")
