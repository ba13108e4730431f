r"""Normalised string comparison."""

from __future__ import annotations

import re

from rlsd_cli.tasks.base import Verdict
from rlsd_cli.verifiers.extract import stated_answer

WRAPPERS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
NOISE = re.compile(r"\\[!,;:$]|\\left|\\right|[$*`\"']")


def normalise(text: str) -> str:
    r"""Return ``text`` without case, LaTeX wrappers, quotes, outer punctuation and double spaces.

    >>> normalise(r"$\text{An  Isosceles} triangle$.")
    'an isosceles triangle'
    """
    text = NOISE.sub("", WRAPPERS.sub(r"\1", text))
    return re.sub(r"\s+", " ", text).strip().strip(".,;:!?").strip().casefold()


def verify_exact(text: str, gold: str) -> Verdict:
    """Judge the stated answer by equality after normalisation.

    Args:
        text: The whole completion.
        gold: The gold answer.
    """
    extracted = stated_answer(text)
    return Verdict(correct=bool(extracted) and normalise(extracted) == normalise(gold), extracted=extracted)
