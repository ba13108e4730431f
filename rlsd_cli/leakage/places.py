"""Where in a text a pattern is worth trying: an index of one normalised text, made once and asked by every rule."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from rlsd_cli.leakage.rules import Near, RuleSet

_WORD = re.compile(r"\w+")
_LONG, _KEPT = 40, 200_000  # longer words are not remembered; so many words are, at most


class Stems:
    """Which words of anchors stand in which words of texts, remembered over texts (a language has few words)."""

    def __init__(self, rules: RuleSet) -> None:
        self.groups: dict[str, list[tuple[int, int, int]]] = {}  # by anchor: places of the patterns that have it
        for number, pack in enumerate(rules.packs):
            for rank, rule in enumerate(pack.rules):
                for index, near in enumerate(rule.near):
                    for anchor in near.anchors:
                        self.groups.setdefault(anchor, []).append((number, rank, index))
        self._anchors: dict[str, list[tuple[str, frozenset[str]]]] = {}  # by their longest word, with the others
        for anchor in self.groups:
            words = sorted(anchor.split(), key=len)
            self._anchors.setdefault(words[-1], []).append((anchor, frozenset(words[:-1])))
        every = {word for entries in self._anchors.values() for _, others in entries for word in others}
        self._stems = frozenset(every | self._anchors.keys())
        self._known: dict[str, frozenset[str]] = {}

    def anchors(self, words: Iterable[str]) -> set[str]:
        """Return the anchors each of whose words stands in one of these words: those that a text may have."""
        there: set[str] = set()
        known = self._known
        for word in words:
            stems = known.get(word)
            if stems is None:
                stems = frozenset(stem for stem in self._stems if stem in word)
                if len(word) <= _LONG and len(known) < _KEPT:
                    known[word] = stems
            if stems:
                there |= stems
        candidates = (entry for word in there & self._anchors.keys() for entry in self._anchors[word])
        return {anchor for anchor, others in candidates if others <= there}


class Places:
    """The anchors of one normalised text and the beginnings of its words."""

    def __init__(self, text: str, stems: Stems) -> None:
        self.text = text
        self.words = set(text.split())
        self._anchors = stems.anchors(self.words)
        self.groups = {group for anchor in self._anchors for group in stems.groups[anchor]}
        self._ends: dict[str, list[int]] = {}
        self._begins: list[int] = []  # of words, in order; made when first asked for

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
        there = self._anchors & near.anchor_set
        ends = sorted(end for anchor in there for end in self.ends(anchor)) if there else []
        if not ends:
            return []
        if not joined and not self._begins:
            self._begins = [match.start() for match in _WORD.finditer(self.text)]
        begins = self._begins
        found: list[int] = []
        seen = 0
        for end in ends:
            low = max(seen, end - near.reach)
            if joined:
                found += range(low, end)
            else:
                first = bisect_left(begins, low)
                found += begins[first : bisect_left(begins, end, first)]
            seen = max(seen, end)
        return found
