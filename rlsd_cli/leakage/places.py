"""Where in a text a pattern is worth trying: an index of one normalised text, made once and asked by every rule."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from rlsd_cli.leakage.rules import Near, RuleSet

_WORD_START = re.compile(r"\b\w")
_LONG, _KEPT = 40, 200_000  # longer words are not remembered; so many words are, at most


class Stems:
    """Which stems stand in which words, remembered over texts (a language has few words)."""

    def __init__(self, rules: RuleSet) -> None:
        nears = (near for pack in rules.packs for rule in pack.rules for near in rule.near)
        self._stems = frozenset[str]().union(*(near.stems for near in nears))
        self._known: dict[str, frozenset[str]] = {}

    def of(self, words: Iterable[str]) -> set[str]:
        """Return the stems that stand in any of these words."""
        found: set[str] = set()
        known = self._known
        for word in words:
            there = known.get(word)
            if there is None:
                there = frozenset(stem for stem in self._stems if stem in word)
                if len(word) <= _LONG and len(known) < _KEPT:
                    known[word] = there
            if there:
                found |= there
        return found


class Places:
    """The anchors of one normalised text and the beginnings of its words."""

    def __init__(self, text: str, stems: Stems) -> None:
        self.text = text
        self.words = set(text.split())
        self._present = stems.of(self.words)
        self._ends: dict[str, list[int]] = {}
        self._starts: list[int] | None = None

    def ends(self, anchor: str) -> list[int]:
        """Return the ends of an anchor's occurrences."""
        found = self._ends.get(anchor)
        if found is None:
            found = []
            place = self.text.find(anchor)
            while place >= 0:
                found.append(place + len(anchor))
                place = self.text.find(anchor, found[-1])
            self._ends[anchor] = found
        return found

    def starts(self, near: Near, joined: bool = False) -> list[int]:
        """Return the places where a word begins within the reach before the end of an anchor, each once, in order.

        Args:
            near: A pattern with its anchors.
            joined: The language writes without spaces: every place counts as a beginning.
        """
        if self._present.isdisjoint(near.stems):
            return []
        ends = [end for anchor in near.anchors for end in self.ends(anchor)]
        if not ends:
            return []
        if self._starts is None and not joined:
            self._starts = [match.start() for match in _WORD_START.finditer(self.text)]
        found: list[int] = []
        seen = 0
        for end in sorted(ends):
            low = max(seen, end - near.reach)
            if joined:
                found += range(low, end)
            elif self._starts is not None:
                first = bisect_left(self._starts, low)
                found += self._starts[first : bisect_left(self._starts, end, first)]
            seen = max(seen, end)
        return found
