"""Units of measurement and what is counted: ``cm²``, ``km per hour``, ``dollars``, ``apples``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# symbol: (power of each base dimension, factor to the base unit, further spellings)
_TABLE: dict[str, tuple[str, str, str]] = {
    "m": ("length", "1", "meter metre"),
    "mm": ("length", "1/1000", "millimeter millimetre"),
    "cm": ("length", "1/100", "centimeter centimetre"),
    "dm": ("length", "1/10", "decimeter decimetre"),
    "km": ("length", "1000", "kilometer kilometre kms"),
    "µm": ("length", "1/1000000", "um micrometer micrometre micron μm"),
    "nm": ("length", "1/1000000000", "nanometer nanometre"),
    "in": ("length", "127/5000", "inch inches"),
    "ft": ("length", "381/1250", "foot feet"),
    "yd": ("length", "1143/1250", "yard yards"),
    "mi": ("length", "1609344/1000", "mile"),
    "g": ("mass", "1", "gram gramme gm"),
    "mg": ("mass", "1/1000", "milligram"),
    "kg": ("mass", "1000", "kilogram kilo kilogramme kgs"),
    "t": ("mass", "1000000", "tonne"),
    "lb": ("mass", "45359237/100000", "pound lbs"),
    "oz": ("mass", "45359237/1600000", "ounce"),
    "s": ("time", "1", "second sec secs"),
    "ms": ("time", "1/1000", "millisecond"),
    "min": ("time", "60", "minute mins"),
    "h": ("time", "3600", "hour hr hrs"),
    "day": ("time", "86400", "days d"),
    "week": ("time", "604800", "weeks wk"),
    "month": ("month", "1", "months"),
    "year": ("year", "1", "yr yrs years"),
    "l": ("length length length", "1/1000", "L liter litre"),
    "ml": ("length length length", "1/1000000", "mL milliliter millilitre"),
    "cl": ("length length length", "1/100000", "cL"),
    "cc": ("length length length", "1/1000000", "ccs"),
    "mph": ("length -time", "1397/3125", ""),
    "kmh": ("length -time", "5/18", "kph kmph"),
    "N": ("mass length -time -time", "1000", "newton"),
    "J": ("mass length length -time -time", "1000", "joule"),
    "kJ": ("mass length length -time -time", "1000000", "kilojoule"),
    "W": ("mass length length -time -time -time", "1000", "watt"),
    "kW": ("mass length length -time -time -time", "1000000", "kilowatt"),
    "Pa": ("mass -length -time -time", "1000", "pascal"),
    "kPa": ("mass -length -time -time", "1000000", "kilopascal"),
    "Hz": ("-time", "1", "hertz"),
    "A": ("current", "1", "amp ampere"),
    "C": ("current time", "1", "coulomb"),
    "V": ("voltage", "1", "volt"),
    "Ω": ("resistance", "1", "ohm Ω"),
    "mol": ("amount", "1", "mole"),
    "K": ("kelvin", "1", "kelvin"),
    "deg": ("angle", "1", "degree degs"),
    "rad": ("radian", "1", "radian rads"),
    "dollar": ("dollar", "1", "dollars usd $ bucks"),
    "cent": ("dollar", "1/100", "cents ¢"),
    "euro": ("euro", "1", "euros eur €"),
    "gbp": ("gbp", "1", "£ sterling"),
    "rupee": ("rupee", "1", "rupees rs inr ₹"),
    "yen": ("yen", "1", "jpy ¥"),
    "yuan": ("yuan", "1", "rmb cny 元"),
}
KNOWN: dict[str, tuple[str, Fraction]] = {}
for _symbol, (_dimension, _factor, _names) in _TABLE.items():
    for _name in (_symbol, *_names.split()):
        KNOWN[_name] = (_dimension, Fraction(_factor))
        if len(_name) > 3 and _name.isascii() and _name.isalpha():
            KNOWN[_name + "s"] = (_dimension, Fraction(_factor))
GENERIC = {"unit", "units", "approximately", "approx", "exactly", "about", "only", "altogether", "total", "each", "su"}
# What begins like this says something about the number, and counts nothing.
PROSE = {*("of", "in", "for", "as", "on", "at", "because", "since", "so", "by", "from", "which", "that", "when"), "if"}
POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cubed": 3, "cu": 3}
TOKEN = re.compile(r"\^\{?(-?\d)\}?|/|\\cdot|·|[^\s/^·\\{}.,]+")


@dataclass(frozen=True)
class Unit:
    """A unit: its dimensions with their powers and its factor, or the words that say what is counted."""

    dimensions: tuple[tuple[str, int], ...] = ()
    factor: Fraction = Fraction(1)
    words: frozenset[str] = frozenset()


def is_unit(word: str) -> bool:
    """Tell whether a word is the name or symbol of a unit."""
    return word in KNOWN or word.casefold() in KNOWN


def stem(word: str) -> str:
    """Return a noun without the ending of its plural."""
    word = word.casefold()
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def read_unit(text: str) -> Unit | None:
    """Return the unit that stands behind a number, None where the words are none ("of the cake", "units")."""
    tokens = list(TOKEN.finditer(text))
    if not tokens or (tokens[0][0].casefold() in PROSE and (len(tokens) > 1 or tokens[0][0] != "in")):
        return None
    powers: dict[str, int] = {}
    factor, words, sign, pending, last = Fraction(1), set(), 1, 1, None
    for token in tokens:
        word = token[0]
        if token[1]:  # the exponent of the unit before it: one power stands there already
            if last:
                add(powers, last[0], int(token[1]) * last[2] - last[2])
                factor *= last[1] ** (int(token[1]) * last[2] - last[2])
        elif word.casefold() in PROSE and len(tokens) > 1:
            break
        elif word in ("/", "per") or (word.casefold() in ("a", "an", "each") and last):
            sign = -1
        elif word.casefold() in POWERS:
            if word.casefold().endswith("ed") and last:
                add(powers, last[0], (POWERS[word.casefold()] - 1) * last[2])
                factor *= last[1] ** ((POWERS[word.casefold()] - 1) * last[2])
            else:
                pending = POWERS[word.casefold()]
        elif is_unit(word) or is_unit(word.rstrip("23")):
            name = word if is_unit(word) else word.rstrip("23")
            times = pending * (1 if name == word else int(word[-1]))
            dimension, size = KNOWN.get(name) or KNOWN[name.casefold()]
            add(powers, dimension, times * sign)
            factor *= size ** (times * sign)
            last, pending = (dimension, size, sign), 1
        elif word in (r"\cdot", "·", "(", ")"):
            continue
        elif word.casefold() not in GENERIC and word.isalpha():
            words.add(stem(word))
    dimensions = tuple(sorted((name, power) for name, power in powers.items() if power))
    return Unit(dimensions, factor, frozenset(words)) if dimensions or words else None


def add(powers: dict[str, int], dimension: str, times: int) -> None:
    """Add a dimension's base dimensions ``times`` times; ``-time`` is one over time."""
    for part in dimension.split():
        name, sign = part.lstrip("-"), -1 if part.startswith("-") else 1
        powers[name] = powers.get(name, 0) + sign * times


def ratio(answer: Unit | None, gold: Unit | None) -> Fraction | None:
    """Return what an answer's number is multiplied with to be in the gold's unit, None where the units differ.

    Where one of the two has no unit, the numbers alone are compared.
    """
    if answer is None or gold is None:
        return Fraction(1)
    if answer.dimensions and gold.dimensions:
        return answer.factor / gold.factor if answer.dimensions == gold.dimensions else None
    if answer.dimensions or gold.dimensions:
        return None
    return Fraction(1) if answer.words & gold.words else None
