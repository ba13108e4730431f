r"""What an answer says, in parts: a name (``x =``), mathematics, a unit; and its value where it is one number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from rlsd_cli.verifiers.notation import FUNCTIONS, TEXT, to_latex
from rlsd_cli.verifiers.units import Unit, is_unit, read_unit

CLOSE = Fraction(101, 100_000_000)  # relative: 0.333333 is 1/3 to just 1e-6
MOST_DIGITS = 400  # of a power of ten that is worked out here

DECIMAL = r"(?:\d+(?:\.\d*)?|\.\d+)"
POWER_OF_TEN = re.compile(
    r"(?:(?P<head>[+-]?\s*{D})\s*\\(?:times|cdot)\s*)?(?P<sign>[+-]?)\s*10\^\{{?(?P<power>[+-]?\d+)\}}?".replace(
        "{D}", DECIMAL
    )
    .replace("{{", "{")
    .replace("}}", "}")
)
FRACTION = re.compile(
    rf"(?P<sign>[+-]?)\s*(?:(?P<whole>\d+)\s*)?"
    rf"(?:\\frac\s*(?:\{{\s*(?P<a>[+-]?\s*{DECIMAL})\s*\}}|(?P<a1>\d))\s*(?:\{{\s*(?P<b>{DECIMAL})\s*\}}|(?P<b1>\d)))"
)
SLASHED = re.compile(rf"(?P<sign>[+-]?)\s*(?:(?P<whole>\d+)\s+)?(?P<a>{DECIMAL})\s*/\s*(?P<b>{DECIMAL})")
NUMBER = re.compile(rf"[+-]?\s*{DECIMAL}")
NAME = re.compile(
    r"\s*(?P<name>\\angle\s*[A-Za-z]{1,3}|\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?(?:\s*\(\s*\w+\s*\))?|\\(?:text|mathrm)\s*\{[^{}]*\})"
    r"\s*(?:=|\\approx|:=)\s*(?P<rest>[^=<>]+)"
)
# Where words may begin: behind a digit, a bracket or a sign that ends a value.
EDGE = re.compile(r"(?<=[\d})\]|!%])\s*(?=[A-Za-zµΩ$€£¥₹¢⟦元])|(?<=[A-Za-z])\s+(?=⟦)|(?<=[\d}%])\s+(?=/)")
WORD = r"(?:⟦[^⟧]*⟧|[A-Za-zµΩ$€£¥₹¢元°'’.-]++)"
POWER = r"(?:\s*\^\{-?\d\}|(?<=[a-z])\d)?"
# Possessive, so that a text of many words that are none of a unit is refused in linear time.
WORDS = re.compile(rf"\(?{WORD}{POWER}(?:\s*+(?:(?:/|\\cdot)\s*+)?\(?{WORD}{POWER}\)?)*+[\s.]*")
CURRENCY = re.compile(r"^\s*([+-]?)\s*(?:\\?\$|([€£¥₹])|US\s?\\?\$|(?:Rs\.?|USD|EUR|GBP)\s*)\s*(?=[\d.\\])")
DEGREES = re.compile(r"\^\{\\circ\}\s*(?P<scale>⟦[CFK]⟧|[CFK](?![a-z]))?\s*$")
# What explains an answer is no part of it: "15 because …", "15 (fifteen)".
TAIL = re.compile(
    r"(?<=[\d)}\]%])(?:,?\s+(?:because|since|so\s+that|which|where|as\s+(?:we|it|the|there|required|each))\b.*|\s*\((?:[A-Za-z]{3,}+[\s-]*+)+\))$",
    re.DOTALL | re.IGNORECASE,
)
MIXED = re.compile(r"(?<![^,({\[;])\s*([+-]?\d+)\s+(\d+)\s*/\s*(\d+)(?=\s*(?:$|[,)}\];\\]|or\b|and\b))")
FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")


@dataclass(frozen=True)
class Number:
    """An exact value; ``places``: decimal places of a decimal (a whole number has 0), None of a fraction."""

    value: Fraction
    places: int | None
    percent: bool = False


@dataclass(frozen=True)
class Quantity:
    """A value with what stands around it.

    Attributes:
        latex: The value, for latex2sympy.
        name: Left of an equals sign, '' where there is none.
        unit: Its unit, None where none is said.
        number: The value where it is one number.
    """

    latex: str
    name: str
    unit: Unit | None
    number: Number | None


def decimal(text: str) -> tuple[Fraction, int]:
    """Return the value of a decimal and its number of places."""
    text = text.replace(" ", "").rstrip(".")
    return Fraction(text or "0"), len(text.partition(".")[2])


def read_number(text: str) -> Number | None:
    r"""Return the number that LaTeX is: whole, decimal, power of ten, fraction, mixed, per cent; None if it is none.

    >>> read_number(r"2\frac{5}{8}").value, read_number("1 1/4").value, read_number("2 5/4")
    (Fraction(21, 8), Fraction(5, 4), None)
    """
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and "," not in text:
        text = text[1:-1].strip()
    percent = text.endswith("%") or bool(re.search(r"(?:percent|per cent)$", text))
    if percent:
        text = re.sub(r"\s*(?:%|percent|per cent)$", "", text)
    if len(text) > MOST_DIGITS:
        return None
    if NUMBER.fullmatch(text):
        value, places = decimal(text)
        return Number(value, places, percent)
    if match := POWER_OF_TEN.fullmatch(text):
        power = int(match["power"])
        if abs(power) > MOST_DIGITS:
            return None
        value, places = decimal(match["head"] or "1")
        value = -value if match["sign"] == "-" else value
        return Number(value * Fraction(10) ** power, places - power, percent)
    for form in (FRACTION, SLASHED):
        if match := form.fullmatch(text):
            return fraction(match, percent)
    return None


def fraction(match: re.Match[str], percent: bool) -> Number | None:
    """Return the value of a fraction or a mixed number; None of ``2 5/4``, which is neither, or of a zero below."""
    parts = match.groupdict()
    top, above = decimal(parts["a"] or parts["a1"])
    bottom, below = decimal(parts["b"] or parts["b1"])
    if bottom == 0:
        return None
    value = top / bottom
    if parts["whole"]:
        if above or below or not 0 < value < 1:
            return None
        value += int(parts["whole"])
    return Number(-value if parts["sign"] == "-" else value, None, percent)


def same_number(answer: Number, gold: Number, scale: Fraction = Fraction(1)) -> bool:
    """Return whether two numbers are equal.

    Fractions and whole numbers must be equal exactly. A decimal may differ by 1e-6 of the gold's size, and two
    decimals must agree where the shorter one ends. A percentage is both a hundredth and its bare number.
    """
    candidates = [answer.value * scale]
    if answer.percent and not gold.percent:
        candidates.append(answer.value * scale / 100)
    elif gold.percent and not answer.percent:
        candidates.append(answer.value * scale * 100)
    return any(close(value, answer.places, gold) for value in candidates)


def close(value: Fraction, places: int | None, gold: Number) -> bool:
    """Return whether a value is the gold's, by the rule of `same_number`."""
    if value == gold.value:
        return True
    distance = abs(value - gold.value)
    whole = all(each is None or each <= 0 for each in (places, gold.places))
    if whole or not value or distance > CLOSE * abs(gold.value):
        return False
    if places is None or gold.places is None:
        return True
    return distance < Fraction(1, 2) * Fraction(10) ** -min(places, gold.places)


def in_brackets(text: str) -> str:
    r"""Return ``text`` with the words of ``\text{}`` and the like in ⟦⟧, and without the marks of mathematics."""
    text = re.sub(r"\\[()\[\]]", " ", text) if re.search(r"\\\(|\\\[", text) else text
    if len(re.findall(r"(?<!\\)\$", text)) % 2 == 0:
        text = re.sub(r"(?<!\\)\$", " ", text)
    return re.sub(
        rf"{TEXT.pattern}\{{([^{{}}]*)\}}",
        lambda found: f" {found[1]} " if found[1].strip() in ("or", "and") else f"⟦{found[1].strip()}⟧",
        text,
    )


def split_unit(text: str) -> tuple[str, str]:
    """Return a text's value and the words behind it, '' where there are none."""
    for match in EDGE.finditer(text):
        value, words = text[: match.start()], text[match.end() :].strip()
        if value.strip() and WORDS.fullmatch(words) and are_words(words, bool(match[0])):
            return value.strip(), re.sub("[⟦⟧]", " ", words)
    return text, ""


def are_words(text: str, apart: bool) -> bool:
    """Tell whether what stands behind a value are words and no variables: 5 cm and 5 apples, not 5x, 3 xy or 2 ab."""
    first = re.match(WORD, text.lstrip("( "))
    if not first:
        return False
    word = first[0]
    if word.startswith("⟦"):
        return True
    word = word.rstrip(".-'")
    if word in FUNCTIONS.split() or word in ("or", "and", "i", "e", "x"):
        return False
    if is_unit(word) or is_unit(word.rstrip("23")):
        return apart or len(word) > 1
    return apart and (len(word) > 2 or word.casefold() in ("of", "in", "on", "at", "as", "by", "so")) and word.isalpha()


def mixed(match: re.Match[str]) -> str:
    """Return a mixed number of a list as LaTeX; what is none stays."""
    whole, top, bottom = match.groups()
    return rf" {whole}\frac{{{top}}}{{{bottom}}}" if int(top) < int(bottom) else match[0]


@lru_cache(maxsize=4096)
def read_quantity(text: str) -> Quantity:
    r"""Return an answer's or a gold's parts.

    >>> read_quantity("x = 5 cm").latex, read_quantity("2/3 of the cake").latex, read_quantity("5x").latex
    ('5', '2/3', '5x')
    """
    text = re.sub(r"\*\*|__", "", text) if text.count("**") >= 2 else text
    text = in_brackets(text.strip()).strip().rstrip(".,;").strip()
    text = TAIL.sub("", text)
    named = NAME.fullmatch(text)
    name, text = (named["name"].strip(), named["rest"].strip()) if named else ("", text)
    text = re.sub(r"^\s*(?:\\approx|≈|~|about |approximately |exactly |roughly )\s*", "", text)
    unit = None
    if money := CURRENCY.match(text):
        sign = re.sub(r"\s|\\|\.", "", money[0]).lstrip("+-")
        unit = read_unit({"US$": "dollar"}.get(sign, sign))
        text = money[1] + text[money.end() :]
    latex = to_latex(text.replace("¢", " cents"))
    if FUNCTION.search(latex):
        latex = re.sub(r"(\d+(?:\.\d+)?)\s*\^\{\\circ\}", r"(\\frac{\1 \\pi}{180})", latex)
    if degrees := DEGREES.search(latex):
        scale = re.sub(r"[^CFK]", "", degrees["scale"] or "")
        latex, unit = latex[: degrees.start()], Unit((("temperature" + scale if scale else "angle", 1),))
    else:
        latex, words = split_unit(latex)
        if re.fullmatch(r"percent(?:age)?|per cent|pct", words.strip().casefold()):
            latex += "%"
        else:
            unit = unit or read_unit(words) if words else unit
    latex = re.sub(r"⟦(.*?)⟧", r"\\text{\1}", latex).strip()
    if read_number(latex) is None:
        latex = MIXED.sub(mixed, latex)
    return Quantity(latex, name, unit, read_number(latex))
