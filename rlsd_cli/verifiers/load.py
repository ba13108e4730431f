"""Verifiers by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Literal

from rlsd_cli.tasks.base import Verdict
from rlsd_cli.verifiers.choice import verify_choice
from rlsd_cli.verifiers.exact import verify_exact
from rlsd_cli.verifiers.math import verify_math
from rlsd_cli.verifiers.numeric import RELATIVE_TOLERANCE, verify_numeric

VerifierKind = Literal["auto", "math", "choice", "exact", "numeric"]
Verifier = Callable[[str, str], Verdict]

BARE_LETTER = re.compile(r"[\(\[]?[A-J][\)\]]?\.?")
MATHEMATICAL = re.compile(r"[\d\\^=+<>√π]")


def verify_auto(text: str, gold: str) -> Verdict:
    """Judge by the form of the gold answer: a capital letter is a choice, words are exact, all else is mathematics."""
    if BARE_LETTER.fullmatch(gold.strip()):
        return verify_choice(text, gold)
    if not MATHEMATICAL.search(gold):
        return verify_exact(text, gold)
    return verify_math(text, gold)


def load_verifier(kind: VerifierKind, tolerance: float = RELATIVE_TOLERANCE) -> Verifier:
    """Return the verifier of the given kind; ``tolerance`` is the relative one of ``numeric``."""
    verifiers: dict[VerifierKind, Verifier] = {
        "auto": verify_auto,
        "math": verify_math,
        "choice": verify_choice,
        "exact": verify_exact,
        "numeric": partial(verify_numeric, tolerance=tolerance),
    }
    return verifiers[kind]
