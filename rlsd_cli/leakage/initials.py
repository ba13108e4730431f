"""The characters that a match of a pattern can begin with, so that most words of a text need not be tried."""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_NOTHING = (codes.AT, codes.ASSERT, codes.ASSERT_NOT)  # match no character


def initials(pattern: re.Pattern[str]) -> frozenset[str]:
    """Return the characters that a match can begin with; empty where they are too many or can't be told.

    >>> sorted(initials(re.compile(r"(?<!x)(?:the|an?) (?:key|sheet)")))
    ['a', 't']
    """
    found, may_be_empty = _sequence(parser.parse(pattern.pattern, pattern.flags))
    return frozenset() if found is None or may_be_empty else frozenset(found)


def _sequence(items: Any) -> tuple[set[str] | None, bool]:
    """Return the first characters of a sequence (None: any), and whether it can match nothing."""
    found: set[str] = set()
    for code, value in items:
        first, empty = _item(code, value)
        if first is None:
            return None, False
        found |= first
        if not empty:
            return found, False
    return found, True


def _item(code: Any, value: Any) -> tuple[set[str] | None, bool]:
    found: tuple[set[str] | None, bool] = (None, False)
    if code in _NOTHING:
        found = set(), True
    elif code is codes.LITERAL:
        found = {chr(value)}, False
    elif code is codes.IN and all(kind is codes.LITERAL for kind, _ in value):
        found = {chr(char) for _, char in value}, False
    elif code is codes.SUBPATTERN:
        found = _sequence(value[3])
    elif code is codes.BRANCH:
        branches = [_sequence(branch) for branch in value[1]]
        if all(first is not None for first, _ in branches):
            found = set().union(*(first or set() for first, _ in branches)), any(empty for _, empty in branches)
    elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        first, empty = _sequence(value[2])
        found = first, empty or value[0] == 0
    return found
