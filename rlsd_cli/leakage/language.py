"""Which language a text is in: enough to say where the phrase rules are blind."""

from __future__ import annotations

import re

LANGUAGES = ("en", "zh", "es", "de", "fr")  # those that have rules
OPENING = 400  # characters that are looked at
NEEDED = 3  # frequent words before a language is named
_WORD = re.compile(r"[^\W\d_]+")

# Frequent words of one language and, as far as possible, of no other.
_FREQUENT = {
    "en": "the of and to is that we so it this are be for with as not have which you i if",
    "es": "el los las una que por es del con para como pero son está también y se lo más",
    "de": "der die und ist das ich den nicht mit ein eine auch von zu wir dass sich auf für also",
    "fr": "les est et une des dans pas du sont donc que pour avec sur nous je il elle au mais",
    "pt": "não uma são mais também então você mas pelo até isso da do em os",
    "it": "che il per non una sono della anche quindi più gli dei questo di è",
    "nl": "het een van niet dat zijn voor ook maar dus wij op aan met",
    "pl": "nie jest się że oraz więc dla czyli jak ale to na",
    "tr": "bir ve bu için ile olarak çok değil daha gibi",
    "vi": "của và là không các có được cho một này",
}
_BY_WORD: dict[str, list[str]] = {}
for _language, _words in _FREQUENT.items():
    for _word in _words.split():
        _BY_WORD.setdefault(_word, []).append(_language)
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_ENOUGH = 0.15  # share of the letters that a script needs


def language_of(text: str) -> str:
    """Return the language of a text as a code; 'none' where there are too few words to tell (formulas, bare answers).

    >>> [language_of(t) for t in ("So the answer is that we have it.", "Also ist die Antwort das.", "x = 4")]
    ['en', 'de', 'none']
    """
    opening = text[:OPENING].lower()
    if not opening.isascii():
        letters = sum(map(str.isalpha, opening)) or 1
        for language, script in _SCRIPTS:
            if len(script.findall(opening)) > _ENOUGH * letters:
                return language
    counts: dict[str, int] = {}
    for word in _WORD.findall(opening):
        for language in _BY_WORD.get(word, ()):
            counts[language] = counts.get(language, 0) + 1
    best = max(counts, key=lambda language: counts[language], default="none")
    return best if counts.get(best, 0) >= NEEDED else "none"
