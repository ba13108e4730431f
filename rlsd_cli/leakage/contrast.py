"""Phrases that open-book text has and closed-book text has not: log-odds ratios with an informative Dirichlet prior.

Monroe, Colaresi and Quinn (2008), "Fightin' Words", equations 15, 16 and 22: with counts y_w in texts of n words, and a
prior α_w proportional to the pooled counts, δ_w = log((y₁+α)/(n₁+α₀−y₁−α)) − log((y₂+α)/(n₂+α₀−y₂−α)),
σ²_w ≈ 1/(y₁+α) + 1/(y₂+α), and the score is δ_w/σ_w.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import log, sqrt

from rlsd_cli.leakage.normalise import normalise

LONGEST = 4  # words of a phrase
PRIOR = 1.0  # pseudo-counts of a phrase with the mean frequency
LEAST = 3  # texts that need to have a phrase
SHOWN = 20
_WORD = re.compile(r"[^\W\d_][\w']*")


@dataclass(frozen=True)
class Phrase:
    """A phrase, in how many open-book and closed-book texts it stands, and the standardised log-odds ratio."""

    text: str
    open_book: int
    closed_book: int
    z: float
    in_template: bool = False


def phrases_of(text: str) -> set[str]:
    """Return the phrases of up to `LONGEST` words of a text, without crossing a sign."""
    found: set[str] = set()
    for clause in re.split(r"[^\w' ]+|\d+", normalise(text)):
        words = _WORD.findall(clause)
        found.update(
            " ".join(words[start : start + length])
            for length in range(1, LONGEST + 1)
            for start in range(len(words) - length + 1)
        )
    return found


def contrast(open_book: Iterable[str], closed_book: Iterable[str], first: Iterable[str] = ()) -> list[Phrase]:
    """Return the phrases that are far more frequent open-book, most telling first.

    Args:
        open_book: Texts by a model that saw the reference.
        closed_book: Texts by the same model without it.
        first: Phrases of the teacher's template; those that occur more often open-book come first.
    """
    counts = [Counter(phrase for text in texts for phrase in phrases_of(text)) for texts in (open_book, closed_book)]
    totals = [count.total() for count in counts]
    pooled = counts[0] + counts[1]
    if not totals[0] or not totals[1]:
        return []
    mean = pooled.total() / len(pooled)
    template = tuple(first)
    scored = []
    for phrase, both in pooled.items():
        if counts[0][phrase] < LEAST:
            continue
        prior, prior_total = PRIOR * both / mean, PRIOR * (len(pooled) + 1)  # one more: whatever else could be said
        odds = [
            log((count[phrase] + prior) / (total + prior_total - count[phrase] - prior))
            for count, total in zip(counts, totals, strict=True)
        ]
        z = (odds[0] - odds[1]) / sqrt(sum(1 / (count[phrase] + prior) for count in counts))
        named = any(noun in phrase for noun in template)
        if z > (0 if named else 1.96):
            scored.append(Phrase(phrase, counts[0][phrase], counts[1][phrase], z, named))
    scored.sort(key=lambda entry: (not entry.in_template, -entry.z, entry.text))
    return distinct(scored)[:SHOWN]


def distinct(phrases: list[Phrase]) -> list[Phrase]:
    """Return the phrases without those that an earlier one contains, or is contained in, at the same counts."""
    kept: list[Phrase] = []
    for one in phrases:
        counts = one.open_book, one.closed_book
        same = [
            k for k in kept if (k.open_book, k.closed_book) == counts and (one.text in k.text or k.text in one.text)
        ]
        if not same:
            kept.append(one)
        elif len(one.text) > len(same[0].text):
            kept[kept.index(same[0])] = one
    return kept
