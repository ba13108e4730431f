r"""Multiple-choice answers: a letter, or the text or value of an option."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from rlsd_cli.verifiers.answers import Stated, answer_of, state
from rlsd_cli.verifiers.exact import WRAPPERS, normalise
from rlsd_cli.verifiers.marks import SENTENCE_END, TURN_END
from rlsd_cli.verifiers.math import same_value
from rlsd_cli.verifiers.notation import plain
from rlsd_cli.verifiers.reasoning import cut_reasoning
from rlsd_cli.verifiers.verdict import Verdict

LETTERS = ascii_uppercase
MOST_UNKNOWN = 10  # without the options' texts, A to J are letters
_BEFORE = (
    r"(?:(?:therefore|thus|hence|so|then|clearly|likely|most\s+likely|probably|definitely|simply|indeed|obviously|the|a|an|it|is|be"
    r"|must|either|correct|right|best|final|answer|option|choice|letter|选项|選項|选|为|是)[\s,:：]+)*?"
)
# 'B', '(B)', 'B.', 'B) 42', 'B: 42', 'option B'; never the article of 'A triangle'.
LETTER = re.compile(
    rf"{_BEFORE}(?:选项|选|option\s*|choice\s*)?"
    r"(?:[\(\[\{【]\s*(?P<bracketed>[A-Za-z])\s*[\)\]\}】]|(?P<plain>[A-Za-z])(?=\s*(?:[.:)\],;—–-]|$)))",
    re.IGNORECASE,
)
# A second letter behind the first: 'A, B', 'A or D', '(A) and (C)'.
SECOND = re.compile(
    r"\s*(?:[,;/&+]|\band\b|\bor\b)+\s*(?:and\b|or\b)?\s*[\(\[]?[A-Z][\)\]]?\s*(?:[.,;)\]]|$|\band\b|\bor\b)"
)
# Sentences that name an option without the word answer.
NAMED = re.compile(
    r"\b(?i:option|choice|answer|statement)\s*(?P<a>\([A-Z]\)|[A-Z])\s+(?:is|must\s+be|seems|appears)\s+(?:therefore\s+|thus\s+|the\s+)?"
    r"(?:only\s+)?(?:correct|right|best|true|answer)\b"
    r"|(?P<b>\([A-Z]\))\s+(?:is|must\s+be)\s+(?:therefore\s+|thus\s+)?(?:the\s+)?(?:correct|right|best)\b"
    r"|\b(?i:choose|select|pick|go\s+with|going\s+with|opt\s+for)\s+(?i:option\s+|choice\s+|answer\s+)?(?P<c>\([A-Z]\)|[A-Z])(?=[\s.,;]|$)"
)
CONCLUSION = re.compile(
    r"(?:^|[.!?\n,;]\s*|\s)(?i:therefore|thus|hence|so|consequently|in\s+conclusion)[,:]?\s+"
    r"(?i:(?:it\s+is|it's|it\s+must\s+be|we\s+(?:choose|pick|select)|i\s+(?:choose|pick|select)|choose|option|choice)\s+)*"
    r"(?:option\s+|choice\s+)?(?P<said>\([A-Z]\)|[A-Z])\s*[.!]?\s*$",
)
NOT = re.compile(
    r"(?:\b(?:not|neither|nor|except|could|might|may|cannot|if\s+(?:we|i|you|one))|n't)\s*$", re.IGNORECASE
)


def bare(answer: str) -> str:
    """Return an answer without wrappers and outer marks."""
    text = plain(answer)
    for _ in range(2):
        text = WRAPPERS.sub(r"\1", text)
    return re.sub(r"\\[()]", "", text).strip().strip("*$_<>` \"'").strip()


def letter_of(answer: str) -> str | None:
    r"""Return the option letter that an answer starts with, None if it starts with none or names two.

    >>> letter_of("(B) 42"), letter_of(r"\text{c}"), letter_of("A triangle"), letter_of("A or D")
    ('B', 'C', None, None)
    """
    text = bare(answer)
    match = LETTER.match(text)
    if not match or SECOND.match(text[match.end("bracketed" if match["bracketed"] else "plain") :].lstrip(")]} ")):
        return None
    return (match["bracketed"] or match["plain"]).upper()


def option_of(answer: str, options: Sequence[str]) -> str | None:
    """Return the letter of the option that ``answer`` is, by its text, else by its value; None if none or several."""
    texts = [normalise(option) for option in options]
    wanted = normalise(answer)
    if not wanted:
        return None
    if wanted in texts:
        return LETTERS[texts.index(wanted)] if texts.count(wanted) == 1 else None
    if wanted.isascii() and not re.search(r"[\d\\^=<>]|^[a-z]$", wanted):
        return None
    found = [letter for letter, option in zip(LETTERS, options, strict=False) if same_value(answer, option)[0]]
    return found[0] if len(found) == 1 else None


def resolve(answer: str, options: Sequence[str]) -> str | None:
    """Return the letter that ``answer`` means: a bare letter, an option's text, a letter with text behind it."""
    letter = letter_of(answer)
    if letter and LETTERS.index(letter) >= (len(options) or MOST_UNKNOWN):
        letter = None
    if letter is None or bare(answer).strip("()[]{}. ").casefold() != letter.casefold():
        exact = [normalise(option) for option in options]
        wanted = normalise(answer)
        if exact.count(wanted) == 1:
            return LETTERS[exact.index(wanted)]
        letter = letter or option_of(answer, options)
    return letter


def gold_letter(gold: str, options: Sequence[str] = ()) -> str | None:
    """Return the letter of a gold that is a letter, or the text of an option; None where no option is meant."""
    return resolve(answer_of(gold) or gold, options)


def letter_of_text(gold: str, options: Sequence[str]) -> str | None:
    """Return the letter of a gold that is an option's text, also where it is a single letter; None if it is none."""
    stripped = [option.strip() for option in options]
    if stripped.count(gold.strip()) == 1:
        return LETTERS[stripped.index(gold.strip())]
    return option_of(gold, options)


def named_letter(text: str, options: Sequence[str]) -> str | None:
    """Return the letter of the last sentence that names an option as right, or concludes with it."""
    said = TURN_END.sub("", cut_reasoning(text)).strip()
    most = len(options) or MOST_UNKNOWN
    found = [match for match in NAMED.finditer(said) if not NOT.search(said[: match.start()])]
    letter = next((match[group] for match in found[-1:] for group in "abc" if match[group]), None)
    last = SENTENCE_END.split(said.rstrip(" .!"))[-1] if said else ""
    if letter is None and (match := CONCLUSION.search(last.strip().strip("*"))):
        letter = match["said"]
    letter = letter.strip("()") if letter else None
    return letter if letter and LETTERS.index(letter) < most else None


def chosen(text: str, options: Sequence[str] = ()) -> tuple[str | None, Stated]:
    """Return the letter that a completion chooses, None if it chooses none, and where it says so.

    A completion that is nothing but a letter or an option counts as its answer.
    """
    stated = state(text)
    if stated.answer:
        return resolve(stated.answer, options), stated
    if stated.how == "no answer is stated":
        if letter := named_letter(text, options):
            return letter, Stated(letter, "a sentence that names the option")
        whole = TURN_END.sub("", cut_reasoning(text)).strip()
        if whole and len(whole) <= max(map(len, [*options, "(A)."])):
            return resolve(whole, options), Stated(whole, "the whole text")
    return None, stated


def chosen_letter(text: str, options: Sequence[str] = ()) -> str | None:
    """Return the letter that a completion chooses, None if it chooses none."""
    return chosen(text, options)[0]


def verify_choice(text: str, gold: str, options: Sequence[str] = ()) -> Verdict:
    """Judge a multiple-choice answer.

    Args:
        text: The whole completion.
        gold: The right letter, or the right option's text (then ``options`` must be given).
        options: The options' texts in the order of the letters; without them only letters are understood.
    """
    return judge_letter(text, gold_letter(gold, options), options)


def judge_letter(text: str, gold: str | None, options: Sequence[str] = ()) -> Verdict:
    """Judge a multiple-choice answer by the letter of the right option; nothing is right where that is None."""
    letter, stated = chosen(text, options)
    if letter is None:
        why = stated.how if not stated.answer else f"{stated.how}: no option is named"
        return Verdict(False, "", why)
    right = letter == gold
    return Verdict(right, letter, f"{stated.how}: {'the right' if right else 'another'} option")
