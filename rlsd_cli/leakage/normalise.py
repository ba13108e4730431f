"""Text clean-up that keeps every character's place, so that a match in the clean text is a span of the raw text."""

from __future__ import annotations

import re

PARAGRAPH = "\x1e"  # stands where a blank line stood; no rule matches across it

_MARKUP = '*_`#{}~$|><\\"“”„«»()[]\t\v\f\r\u00a0\u200b'
_TABLE = str.maketrans(dict.fromkeys(_MARKUP, " ") | {"’": "'", "‘": "'", "‑": "-", "–": "-"})
_ASCII_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_LATEX_STYLE = re.compile(
    r"\\(?:text(?:bf|it|tt|rm|sc|sf|sl|md)?|emph|mathrm|mathbf|mathit|underline|mbox|bm)(?![a-z])"
)
# Both start with their own character, which lets the engine skip to it.
_QUOTE = re.compile(r"'(?:(?!\w)|(?<!\w'))")
_HYPHEN = re.compile(r"-(?=[a-z])(?<=[a-z]-)")


def lower(text: str) -> str:
    """Return ``text`` in lower case, character for character (some capitals of other scripts grow when lowered)."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.translate(_ASCII_LOWER)


def normalise(text: str) -> str:
    r"""Return ``text`` lowered, with Markdown, LaTeX styling, quotes and line breaks as spaces; same length.

    Apostrophes inside words stay, hyphens between letters become spaces, a blank
    line becomes `PARAGRAPH`.

    >>> normalise("The \\textbf{reference}\n*solution*")
    'the         reference   solution '
    """
    clean = lower(text)
    if "\\" in clean:
        clean = _LATEX_STYLE.sub(lambda match: " " * len(match.group()), clean)
    clean = clean.translate(_TABLE)
    if "'" in clean:
        clean = _QUOTE.sub(" ", clean)
    if "-" in clean:
        clean = _HYPHEN.sub(" ", clean)
    clean = clean.replace("\n \n", PARAGRAPH * 3).replace("\n\n", PARAGRAPH * 2)
    return clean.replace("\n", " ")
