r"""Normalised string comparison."""

from __future__ import annotations

import re

from rlsd_cli.verifiers.answers import answer_of, state
from rlsd_cli.verifiers.notation import plain
from rlsd_cli.verifiers.verdict import Verdict

WRAPPERS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
NOISE = re.compile(r"\\[!,;:$()\[\]]|\\left|\\right|[$*`\"'“”‘’]")


def normalise(text: str) -> str:
    r"""Return ``text`` without case, LaTeX wrappers, quotes, outer punctuation and double spaces.

    >>> normalise(r"$\text{An  Isosceles} triangle$.")
    'an isosceles triangle'
    """
    text = NOISE.sub("", WRAPPERS.sub(r"\1", plain(text)))
    return re.sub(r"\s+", " ", text).strip().strip(".,;:!?。").strip().casefold()


def verify_exact(text: str, gold: str) -> Verdict:
    """Judge the stated answer by equality after normalisation.

    Args:
        text: The whole completion.
        gold: The gold answer.
    """
    stated = state(text)
    if not stated.answer:
        return Verdict(False, "", stated.how)
    target = normalise(answer_of(gold))
    correct = bool(target) and normalise(stated.answer) == target
    return Verdict(correct, stated.answer, f"{stated.how}: {'the same text' if correct else 'another text'}")
