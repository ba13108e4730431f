"""Find mentions of a reference, key or given answer in a completion. Pure functions, no heavy imports.

>>> [hit.text for hit in find_mentions("So x = 7, which matches the reference solution.")]
['reference solution']
>>> leaks("the reference says 7 + 9 = 16 ; answer 16", prompt="question 7 + 9 ?")
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rlsd_cli.leakage.early import EARLY_RULE, early_answer
from rlsd_cli.leakage.normalise import PARAGRAPH, cleaned, normalise
from rlsd_cli.leakage.places import Places, Stems
from rlsd_cli.leakage.rules import Excuse, Near, Pack, Rule, RuleSet, load_rules

SENTENCE = 160  # longest stretch of a sentence that is searched for a negation, a hedge or an ordinary use
NEARBY = 240  # how far back an ordinary thing may have been introduced
FRAME = 60  # characters before a match that are searched for what has to stand before it
MARKERS = 2  # frequent words of a language from which on its rules are tried, whatever else the text has
DISMISSALS = ("prompt", "negation", "speculation", "ordinary")
_WESTERN_STOPS = (". ", "! ", "? ", "; ", ": ", PARAGRAPH)
_HAN_STOPS = (PARAGRAPH, "。", "!", "?", ";")
_ARTICLE = re.compile(r"^(?:el|la|los|las|der|die|das|dem|den|des|le|les|l'|ce|cette|du|die|im) ?(?=\w)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Hit:
    """A span ``[start, end)`` of the completion that a rule matched; ``text`` is that span as it stands there."""

    rule: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit and why it does not count: '' (it counts) or one of `DISMISSALS`; ``apart``: never part of the rate."""

    hit: Hit
    dismissed: str
    apart: bool = False


def find_mentions(
    completion: str, prompt: str = "", answer: str | None = None, rules: RuleSet | None = None
) -> list[Hit]:
    """Return the hits that count, by their place in ``completion``.

    Args:
        completion: The text that the model wrote.
        prompt: What the model saw. A mention that it explains is not a hit.
        answer: The gold answer. If given, a hit of the rule `EARLY_RULE` marks an
            answer asserted before any step derives it; it is no mention.
        rules: The rules; None: those of the package.
    """
    found = examine(completion, prompt, rules)
    hits = [finding.hit for finding in found if not finding.dismissed and not finding.apart]
    if answer:
        span = early_answer(completion, answer, prompt)
        if span:
            hits.append(Hit(EARLY_RULE, *span, completion[slice(*span)]))
            hits.sort(key=lambda hit: (hit.start, hit.end, hit.rule))
    return hits


def leaks(completion: str, prompt: str = "") -> bool:
    """Tell whether ``completion`` mentions a reference that ``prompt`` does not explain (phrase rules only)."""
    return any(not finding.dismissed and not finding.apart for finding in examine(completion, prompt))


def examine(completion: str, prompt: str = "", rules: RuleSet | None = None) -> list[Finding]:
    """Return every match of a phrase rule, also those that do not count, without overlaps.

    Time is linear in the length of the text: a pattern is tried once at each word
    near an anchor, and every repetition in it is bounded.
    """
    ruleset = rules or load_rules()
    clean = cleaned(completion)
    text = clean.text
    spans: list[tuple[int, int, int, int, int, int]] = []
    places = Places(text, _stems(ruleset))
    spoken = [speaks(places, pack, ruleset.packs[0]) for pack in ruleset.packs]
    for number, rank, index in places.groups:
        pack = ruleset.packs[number]
        if spoken[number]:
            matched = matches(places, pack.rules[rank].near[index], pack.joined)
            spans += [(start, -end, number, rank, index, named) for start, named, end in matched]
    if not spans:
        return []
    excused = excuses(prompt, ruleset)
    findings = []
    covered = 0
    for start, negative_end, number, rank, index, named in sorted(spans):
        end = -negative_end
        if start < covered:
            continue
        covered = end
        pack = ruleset.packs[number]
        rule = pack.rules[rank]
        why = "prompt" if explained(text, start, end, excused.get(rule.name, ())) else ""
        if not why and rule.like and prompt and _ARTICLE.sub("", text[start:named]).strip() in normalise(prompt):
            why = "prompt"
        why = why or dismissal(text, start, end, rule, rule.near[index], pack)
        if rule.apart and not why and shown(text[start:end], prompt):
            why = "prompt"
        raw_start, raw_end = clean.span(start, end)
        hit = Hit(rule.name, raw_start, raw_end, completion[raw_start:raw_end])
        findings.append(Finding(hit, why, rule.apart))
    return findings


def speaks(places: Places, pack: Pack, english: Pack) -> bool:
    """Tell whether a text may be in the language of a pack: a few of its frequent words, or more than English ones.

    English rules are tried everywhere; a short text in another language may have one such word, or none.
    """
    if pack is english or not pack.markers:
        return True
    if pack.joined:
        return not places.text.isascii() and any(marker in places.text for marker in pack.markers)
    own = len(places.words & pack.marker_set)
    theirs = len(places.words & english.marker_set)
    return own >= MARKERS or own > theirs or (own == theirs == 0)


def _stems(ruleset: RuleSet) -> Stems:
    if id(ruleset) not in _STEMS:
        _STEMS[id(ruleset)] = (ruleset, Stems(ruleset))
    return _STEMS[id(ruleset)][1]


_STEMS: dict[int, tuple[RuleSet, Stems]] = {}  # keeps a set of rules alive as long as it is named here


def matches(places: Places, near: Near, joined: bool = False) -> list[tuple[int, int, int]]:
    """Return (start, end of what the pattern names, end) for each match in normalised text.

    The end includes what has to stand behind the pattern.
    """
    found = []
    text = places.text
    starts = places.starts(near, joined)
    if chars := near.initials:
        starts = [start for start in starts if text[start] in chars]
    for start in starts:
        match = near.pattern.match(text, start)
        if match is None:
            continue
        named = end = match.end()
        if near.before or near.after:
            behind = near.after.match(text, end) if near.after else None
            if behind is None and not (near.before and near.before.search(text, max(0, start - FRAME), start)):
                continue
            end = behind.end() if behind else end
        found.append((start, named, end))
    return found


@lru_cache(maxsize=4096)
def _excuses(prompt: str, ruleset_id: int) -> dict[str, tuple[tuple[Excuse, tuple[str, ...]], ...]]:
    text = normalise(prompt)
    found: dict[str, list[tuple[Excuse, tuple[str, ...]]]] = {}
    for pack in _RULESETS[ruleset_id].packs:
        for rule in pack.rules:
            if rule.prompt_words and not any(word in text for word in rule.prompt_words):
                continue
            for excuse in rule.excuses:
                if excuse.same:
                    values = tuple({match.group(1).strip(" .,$") for match in excuse.pattern.finditer(text)})
                    if values:
                        found.setdefault(rule.name, []).append((excuse, values))
                elif excuse.pattern.search(text):
                    found.setdefault(rule.name, []).append((excuse, ()))
    return {name: tuple(entries) for name, entries in found.items()}


_RULESETS: dict[int, RuleSet] = {}  # keeps a set of rules alive as long as cached excuses name it


def excuses(prompt: str, rules: RuleSet | None = None) -> dict[str, tuple[tuple[Excuse, tuple[str, ...]], ...]]:
    """Return by rule the excuses that a prompt has for it, and the values of those that ask for the same value."""
    if not prompt:
        return {}
    ruleset = rules or load_rules()
    _RULESETS[id(ruleset)] = ruleset
    return _excuses(prompt, id(ruleset))


def switched_off(prompt: str, rules: RuleSet | None = None) -> list[str]:
    """Return the rules that a prompt switches off altogether: by an excuse that asks for nothing in the completion."""
    found = excuses(prompt, rules)
    return [name for name, entries in found.items() if any(not e.near and not e.same for e, _ in entries)]


def explained(text: str, start: int, end: int, entries: tuple[tuple[Excuse, tuple[str, ...]], ...]) -> bool:
    """Tell whether an excuse of the prompt holds for the match ``text[start:end]``."""
    if not entries:
        return False
    low, high = sentence(text, start, end)
    for excuse, values in entries:
        if excuse.near and not excuse.near.search(text, low, high):
            continue
        if excuse.same and not any(value in text[low:high] for value in values):
            continue
        return True
    return False


def shown(span: str, prompt: str) -> bool:
    """Tell whether a prompt shows every number of a span; where there is none, the span needs no prompt."""
    numbers = _NUMBER.findall(span)
    there = set(_NUMBER.findall(prompt))
    return bool(numbers) and all(number in there for number in numbers)


def dismissal(text: str, start: int, end: int, rule: Rule, near: Near, pack: Pack) -> str:
    """Say why the text around a match keeps it from counting: one of `DISMISSALS` but 'prompt', or ''.

    Args:
        text: The whole normalised completion.
        start: First character of the match.
        end: One past its last.
        rule: The rule that matched.
        near: The group of its patterns that matched.
        pack: The language.
    """
    low, high = sentence(text, start, end, pack.joined)
    if not near.firm:
        if somewhere(pack.negated_before, text, low, start) or (
            pack.negated_after and pack.negated_after.match(text, end, high)
        ):
            return "negation"
        if hedged(text, low, start, end, high, pack):
            return "speculation"
    ordinary = (
        *((pack.generic, low, start) for _ in range(not near.firm)),
        *((pattern, low, high) for pattern in (rule.ordinary, near.ordinary)),
        *((pattern, max(0, start - NEARBY), start) for pattern in (rule.introduced, near.introduced)),
    )
    return "ordinary" if any(somewhere(pattern, text, *part) for pattern, *part in ordinary) else ""


def somewhere(pattern: re.Pattern[str] | None, text: str, low: int, high: int) -> bool:
    """Tell whether there is a pattern and it matches somewhere in ``text[low:high]``."""
    return pattern is not None and pattern.search(text, low, high) is not None


def hedged(text: str, low: int, start: int, end: int, high: int, pack: Pack) -> bool:
    """Tell whether a match is speculation: a hedge in its clause before it, or right behind it."""
    if pack.hedged_after and pack.hedged_after.match(text, end, high):
        return True
    if pack.hedged_before is None:
        return False
    hedges = list(pack.hedged_before.finditer(text, low, end))
    return bool(hedges) and not somewhere(pack.hedge_ends, text, hedges[-1].end(), start)


def sentence(text: str, start: int, end: int, joined: bool = False) -> tuple[int, int]:
    """Return the bounds of the sentence around ``text[start:end]``, at most `SENTENCE` characters either way."""
    stops = _HAN_STOPS if joined else _WESTERN_STOPS
    floor, ceiling = max(0, start - SENTENCE), min(len(text), end + SENTENCE)
    low = max(text.rfind(stop, floor, start) for stop in stops)
    ends = [place for stop in stops if (place := text.find(stop, end, ceiling)) >= 0]
    return (low + 1 if low >= 0 else floor), min(ends, default=ceiling)
