"""Reference solutions for generators of reasoning-gym, written out from an entry's metadata.

reasoning-gym gives an answer with each question and, but for gsm_symbolic, no way to it. Generators
without a writer here have the answer as their only reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def chain_sum(entry: dict[str, Any]) -> str:
    """Return the partial sums from left to right.

    >>> chain_sum({"metadata": {"expression": "4 - 1 + 7"}, "answer": "10"})
    '4 - 1 = 3, 3 + 7 = 10.'
    """
    first, *rest = entry["metadata"]["expression"].split()
    total, steps = int(first), []
    for symbol, number in zip(rest[::2], rest[1::2], strict=True):
        result = total + int(number) if symbol == "+" else total - int(number)
        steps.append(f"{total} {symbol} {number} = {result}")
        total = result
    return f"{', '.join(steps)}."


def letter_counting(entry: dict[str, Any]) -> str:
    """Return each word spelled out with the number of times that it has the letter.

    >>> letter_counting({"metadata": {"target_letter": "e", "span": ["See", "me"]}, "answer": "3"})
    's e e: 2, m e: 1.'
    """
    letter = entry["metadata"]["target_letter"]
    words = [word.lower() for word in entry["metadata"]["span"]]
    return ", ".join(" ".join(word) + f": {word.count(letter)}" for word in words) + "."


def gsm_symbolic(entry: dict[str, Any]) -> str:
    """Return the generator's own solution."""
    return str(entry["metadata"]["answer_cot"])


WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "chain_sum": chain_sum,
    "gsm_symbolic": gsm_symbolic,
    "letter_counting": letter_counting,
}


def solution_text(name: str, entry: dict[str, Any]) -> str:
    """Return the way to the answer and the answer, or '' where none can be written for generator ``name``."""
    return f"{WRITERS[name](entry)} Answer: {entry['answer']}" if name in WRITERS else ""
