"""Text clean-up for the phrase rules, with the way back from every clean character to the raw text."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

PARAGRAPH = "\x1e"  # stands where a blank line stood; no rule matches across it

_MARKUP = (
    '*_`#{}~$|><\\"“”„«»()[]\t\v\f\r\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f'
    "\u3000「」『』《》"
)
_TABLE = str.maketrans(dict.fromkeys(_MARKUP, " ") | {"’": "'", "‘": "'", "ʼ": "'", "‑": "-", "‐": "-", "–": "-"})
_ASCII_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_LATEX_STYLE = re.compile(
    r"\\(?:text(?:bf|it|tt|rm|sc|sf|sl|md)?|emph|mathrm|mathbf|mathit|underline|mbox|bm)(?![a-z])"
)
# Both start with their own character, which lets the engine skip to it.
_QUOTE = re.compile(r"'(?:(?!\w)|(?<!\w'))")
_HYPHEN = re.compile(r"-(?=[a-z])(?<=[a-z]-)")

# Cyrillic and Greek letters that look like Latin ones; mapped only inside a word that also has Latin letters.
_LOOKALIKES = str.maketrans("аеорсухіјѕԁһԛԝкмтвнοαερικντυχ", "aeopcyxijsdhqwkmtbhoaepikvtux")
_MIXED = re.compile(r"(?=\w{0,30}[a-z])(?=\w{0,30}[\u0370-\u03ff\u0400-\u052f])\w{2,40}")
# Removed, so that what stands on either side becomes one word.
_INVISIBLE = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    "\ufeff"
)
_HIDDEN = re.compile(rf"[{_INVISIBLE}]+")
_BROKEN = re.compile(r"-[ \t]{0,4}\r?\n[ \t]{0,8}(?=[a-z])")  # a word broken at the end of a line
_STARS = re.compile(r"\*{1,3}")
_WORD_TAG = re.compile(r"</?(?:b|i|u|em|strong|mark)>")
_TAG = re.compile(r"</?(?:b|i|u|em|strong|mark|span|code|sub|sup)(?: [^<>]{0,80})?>")
_CAMEL = ("Solution", "Answer", "Output", "Key", "Truth")


@dataclass(frozen=True, slots=True)
class Clean:
    """Normalised text; ``raw(i)`` is the place in the raw text of its i-th character."""

    text: str
    cuts: tuple[int, ...] = ()  # clean places from which on the difference to the raw place is `shifts`
    shifts: tuple[int, ...] = ()

    def raw(self, place: int) -> int:
        """Return the raw place of a clean one."""
        if not self.cuts:
            return place
        index = bisect_right(self.cuts, place) - 1
        return place + (self.shifts[index] if index >= 0 else 0)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the raw span of a clean one that is not empty."""
        return self.raw(start), self.raw(end - 1) + 1


def lower(text: str) -> str:
    """Return ``text`` in lower case, character for character (some capitals of other scripts grow when lowered)."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.translate(_ASCII_LOWER)


@cache
def _plain_letter(char: str) -> str:
    """Return what a compatibility form (full-width, mathematical bold) looks like, if that is one character."""
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 else char


def _edits(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, new) for what has to go from inside words, and for spaces between camel-cased words."""
    found: list[tuple[int, int, str]] = []
    if not text.isascii() and any(char in text for char in _INVISIBLE):
        found += [(match.start(), match.end(), "") for match in _HIDDEN.finditer(text)]
    inside = [_BROKEN] * ("-\n" in text) + [_STARS] * ("*" in text) + [_WORD_TAG] * ("</" in text)
    for pattern in inside:
        for match in pattern.finditer(text):
            start, end = match.span()
            # Markup inside a word, not a product: two letters on either side, or one and then markup again.
            if _letters(text[max(0, start - 2) : start][::-1]) and _letters(text[end : end + 2]):
                found.append((start, end, ""))
    for word in _CAMEL:
        place = text.find(word)
        while place >= 0:
            if place and "a" <= text[place - 1] <= "z":
                found.append((place, place, " "))
            place = text.find(word, place + 1)
    edits: list[tuple[int, int, str]] = []
    for start, end, new in sorted(found):
        if not edits or start >= edits[-1][1]:
            edits.append((start, end, new))
    return edits


def _letters(pair: str) -> bool:
    """Tell whether a word goes on here: two letters, or one and then markup (read away from the markup in question)."""
    return len(pair) == 2 and pair[0].isalpha() and (pair[1].isalpha() or pair[1] in "*<>")


def _same_length(text: str) -> str:
    """Normalise character for character."""
    if not text.isascii():
        odd = {ord(char): _plain_letter(char) for char in set(text) if char >= "\uff01" or "\u2100" <= char <= "\u214f"}
        if odd:
            text = text.translate(odd)
    clean = lower(text)
    if not clean.isascii() and re.search(r"[\u0370-\u03ff\u0400-\u052f]", clean):
        clean = _MIXED.sub(lambda match: match.group().translate(_LOOKALIKES), clean)
    if "</" in clean:
        clean = _TAG.sub(lambda match: " " * len(match.group()), clean)
    if "\\" in clean:
        clean = _LATEX_STYLE.sub(lambda match: " " * len(match.group()), clean)
    clean = clean.translate(_TABLE)
    if "'" in clean:
        clean = _QUOTE.sub(" ", clean)
    if "-" in clean:
        clean = _HYPHEN.sub(" ", clean)
    clean = clean.replace("\n \n", PARAGRAPH * 3).replace("\n\n", PARAGRAPH * 2)
    return clean.replace("\n", " ")


def cleaned(text: str) -> Clean:
    r"""Return ``text`` normalised, with the way back.

    Lower case; Markdown, LaTeX styling, tags, quotes and line breaks are spaces;
    full-width and mathematical letters and look-alikes of other alphabets are
    plain; invisible characters, line-break hyphens and emphasis inside words are
    gone, and ``referenceSolution`` is two words. A blank line is `PARAGRAPH`.

    >>> cleaned("The **ref**erence").text
    'the reference'
    """
    edits = _edits(text)
    if not edits:
        return Clean(_same_length(text))
    pieces, cuts, shifts = [], [], []
    raw = clean = 0
    for start, end, new in edits:
        pieces += [text[raw:start], new]
        clean += start - raw + len(new)
        raw = end
        cuts.append(clean)
        shifts.append(raw - clean)
    pieces.append(text[raw:])
    return Clean(_same_length("".join(pieces)), tuple(cuts), tuple(shifts))


def normalise(text: str) -> str:
    """Return the clean text alone (of prompts and answers, where no span is wanted)."""
    return cleaned(text).text
