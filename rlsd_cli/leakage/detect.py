"""Find mentions of a reference, key or given answer in a completion. Pure functions, no heavy imports.

>>> [hit.text for hit in find_mentions("So x = 7, which matches the reference solution.")]
['reference solution']
>>> leaks("the reference says 7 + 9 = 16 ; answer 16", prompt="question 7 + 9 ?")
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlsd_cli.leakage.early import EARLY_RULE, early_answer
from rlsd_cli.leakage.normalise import PARAGRAPH, normalise
from rlsd_cli.leakage.rules import Rule, load_rules

REACH = 90  # a match begins at most this many characters before the end of an anchor
SENTENCE = 160  # longest stretch of a sentence that is searched for a negation or an ordinary use
NEARBY = 240  # how far back an ordinary thing may have been introduced
_WORD_START = re.compile(r"\b\w")
_STOPS = (". ", "! ", "? ", "; ", ": ", PARAGRAPH)


@dataclass(frozen=True, slots=True)
class Hit:
    """A span ``[start, end)`` of the completion that a rule matched; ``text`` is that span as it stands there."""

    rule: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit and why it does not count: '' (it counts), 'prompt', 'negation' or 'ordinary'."""

    hit: Hit
    dismissed: str


def find_mentions(completion: str, prompt: str = "", answer: str | None = None) -> list[Hit]:
    """Return the hits that count, by their place in ``completion``.

    Args:
        completion: The text that the model wrote.
        prompt: What the model saw. A mention that it explains is not a hit.
        answer: The gold answer. If given, a hit of the rule `EARLY_RULE` marks an
            answer asserted before any step derives it; it is no mention.
    """
    hits = [finding.hit for finding in examine(completion, prompt) if not finding.dismissed]
    if answer:
        span = early_answer(completion, answer, prompt)
        if span:
            hits.append(Hit(EARLY_RULE, *span, completion[slice(*span)]))
            hits.sort(key=lambda hit: (hit.start, hit.end, hit.rule))
    return hits


def leaks(completion: str, prompt: str = "") -> bool:
    """Tell whether ``completion`` mentions a reference that ``prompt`` does not explain (phrase rules only)."""
    return any(not finding.dismissed for finding in examine(completion, prompt))


def examine(completion: str, prompt: str = "") -> list[Finding]:
    """Return every match of a phrase rule, also those that do not count, without overlaps.

    Time is linear in the length of the text: a pattern is tried once at each word
    near an anchor, and every repetition in it is bounded.
    """
    ruleset = load_rules()
    text = normalise(completion)
    spans = {
        (start, -match.end(), rank)
        for rank, rule in enumerate(ruleset.rules)
        for near in rule.near
        for start in starts(text, near.anchors)
        if (match := near.pattern.match(text, start))
    }
    if not spans:
        return []
    clean_prompt = normalise(prompt)
    explained: dict[int, bool] = {}  # by rule, asked once: there may be many hits, and the prompt may be long
    findings = []
    covered = 0
    for start, negative_end, rank in sorted(spans):
        end = -negative_end
        if start < covered:
            continue
        covered = end
        rule = ruleset.rules[rank]
        if rank not in explained:
            explained[rank] = bool(rule.explained.search(clean_prompt))
        why = "prompt" if explained[rank] else dismissal(text, start, end, rule)
        findings.append(Finding(Hit(rule.name, start, end, completion[start:end]), why))
    return findings


def starts(text: str, anchors: tuple[str, ...]) -> list[int]:
    """Return the places in ``text`` where a word begins within `REACH` before the end of an anchor, each once."""
    ends = []
    for anchor in anchors:
        place = text.find(anchor)
        while place >= 0:
            ends.append(place + len(anchor))
            place = text.find(anchor, ends[-1])
    words: list[int] = []
    seen = 0
    for end in sorted(ends):
        words += [match.start() for match in _WORD_START.finditer(text, max(seen, end - REACH), end)]
        seen = end
    return words


def dismissal(text: str, start: int, end: int, rule: Rule) -> str:
    """Say why the text around a match keeps it from counting: 'negation', 'ordinary', or '' if nothing does.

    Args:
        text: The whole normalised completion.
        start: First character of the match.
        end: One past its last.
        rule: The rule that matched.
    """
    ruleset = load_rules()
    low, high = sentence(text, start, end)
    if ruleset.negated_before.search(text, low, start) or ruleset.negated_after.match(text, end, high):
        return "negation"
    if rule.ordinary and rule.ordinary.search(text, low, high):
        return "ordinary"
    if rule.introduced and rule.introduced.search(text, max(0, start - NEARBY), start):
        return "ordinary"
    return ""


def sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of the sentence around ``text[start:end]``, at most `SENTENCE` characters either way."""
    floor, ceiling = max(0, start - SENTENCE), min(len(text), end + SENTENCE)
    low = max(text.rfind(stop, floor, start) for stop in _STOPS)
    ends = [place for stop in _STOPS if (place := text.find(stop, end, ceiling)) >= 0]
    return (low + 1 if low >= 0 else floor), min(ends, default=ceiling)
