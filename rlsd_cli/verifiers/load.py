"""Verifiers by name, and judging many completions at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from rlsd_cli.verifiers.answers import answer_of
from rlsd_cli.verifiers.choice import verify_choice
from rlsd_cli.verifiers.exact import verify_exact
from rlsd_cli.verifiers.math import verify_math
from rlsd_cli.verifiers.notation import NAME, SENTENCES
from rlsd_cli.verifiers.numeric import RELATIVE_TOLERANCE, verify_numeric
from rlsd_cli.verifiers.pool import POOL, MathPool
from rlsd_cli.verifiers.verdict import Verdict

VerifierKind = Literal["auto", "math", "choice", "exact", "numeric"]
Verifier = Callable[[str, str], Verdict]

BARE_LETTER = re.compile(r"[\(\[]?[A-J][\)\]]?\.?")
MATHEMATICAL = re.compile(r"[\d\\^=+<>√π∞≤≥≠±∅∪∩ℝ°½¼¾²³×÷*%{}|]|[a-z]\s*/\s*[a-z](?![a-z])|^-[a-z]$")


def is_mathematical(gold: str) -> bool:
    """Tell whether a gold answer is mathematics and no word or phrase."""
    return bool(MATHEMATICAL.search(gold) or gold.casefold().strip(" .") in SENTENCES or NAME.fullmatch(gold.strip()))


def verify_auto(text: str, gold: str) -> Verdict:
    """Judge by the form of the gold answer: a capital letter is a choice, words are exact, all else is mathematics."""
    target = answer_of(gold)
    if BARE_LETTER.fullmatch(target):
        return verify_choice(text, target)
    if not is_mathematical(target):
        return verify_exact(text, target)
    return verify_math(text, target)


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


def judge_all(judge: Callable[..., Verdict], rows: Sequence[Sequence[Any]], pool: MathPool = POOL) -> list[Verdict]:
    """Return the verdicts of many completions, with the expressions of all compared together, each pair once.

    Args:
        judge: A verifier, a task's ``verify``, a benchmark's ``judge``: it must give the same verdict for the same
            arguments, because where it asks the pool it is called a second time, when the pool knows.
        rows: The arguments of one call each.
        pool: What compares expressions; its bound of time is one of the whole batch.
    """
    with pool.collecting() as pairs:
        found = []
        for row in rows:
            before = len(pairs)
            verdict = judge(*row)
            found.append(verdict if len(pairs) == before else None)
    pool.compare_all(pairs)
    return [verdict or judge(*row) for verdict, row in zip(found, rows, strict=True)]
