r"""Multiple-choice answers: a letter, or the text of an option."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlsd_cli.tasks.base import Verdict
from rlsd_cli.verifiers.exact import WRAPPERS, normalise
from rlsd_cli.verifiers.extract import TURN_END, cut_reasoning, stated_answer

LETTERS = "ABCDEFGHIJ"
# 'B', '(B)', 'B.', 'B) 42', 'B: 42', 'option B'; never the article of 'A triangle'.
LETTER = re.compile(
    r"(?:the\s+)?(?:(?:correct\s+)?(?:option|choice|answer)\s*(?:is\s*)?:?\s*)?"
    r"(?:[\(\[\{]\s*(?P<bracketed>[A-Ja-j])\s*[\)\]\}]|(?P<plain>[A-Ja-j])(?=\s*(?:[.:)\],;-]|$)))",
    re.IGNORECASE,
)


def letter_of(answer: str) -> str | None:
    r"""Return the option letter that an answer starts with, None if it starts with none.

    >>> letter_of("(B) 42"), letter_of(r"\text{c}"), letter_of("A triangle")
    ('B', 'C', None)
    """
    match = LETTER.match(WRAPPERS.sub(r"\1", answer).strip().strip("*$_<> "))
    return (match["bracketed"] or match["plain"]).upper() if match else None


def option_of(answer: str, options: Sequence[str]) -> str | None:
    """Return the letter of the option whose text ``answer`` is, None if it is none, or more than one."""
    texts = [normalise(option) for option in options]
    wanted = normalise(answer)
    return LETTERS[texts.index(wanted)] if texts.count(wanted) == 1 else None


def resolve(answer: str, options: Sequence[str]) -> str | None:
    """Return the letter that ``answer`` means: a bare letter, an option's text, a letter with text behind it."""
    letter = letter_of(answer)
    if letter and options and LETTERS.index(letter) >= len(options):
        letter = None
    if letter is None or normalise(answer).strip("()[]{} ") != letter.lower():
        letter = option_of(answer, options) or letter
    return letter


def chosen_letter(text: str, options: Sequence[str] = ()) -> str | None:
    """Return the letter that a completion chooses, None if it chooses none.

    A completion that is nothing but a letter or an option counts as its answer.
    """
    answer = stated_answer(text)
    if not answer:
        whole = TURN_END.sub("", cut_reasoning(text)).strip()
        answer = whole if len(whole) <= max(map(len, [*options, "(A)."])) else ""
    return resolve(answer, options) if answer else None


def verify_choice(text: str, gold: str, options: Sequence[str] = ()) -> Verdict:
    """Judge a multiple-choice answer.

    Args:
        text: The whole completion.
        gold: The right letter, or the right option's text (then ``options`` must be given).
        options: The options' texts in the order of the letters; without them only letters are understood.
    """
    letter = chosen_letter(text, options)
    return Verdict(correct=letter is not None and letter == resolve(gold, options), extracted=letter or "")
