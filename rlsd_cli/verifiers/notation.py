r"""Mathematics as people type it, as LaTeX: ``2√3``, ``x²``, ``½``, ``pi/2``, ``exp(16)``, ``1.6e-19``, ``x<=3``."""

from __future__ import annotations

import re
import unicodedata

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙₓ", "0123456789+-=()nx")
SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ]+")
SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙₓ]+")
SYMBOLS = {
    **dict.fromkeys("−‒–﹣－", "-"),
    **dict.fromkeys("×✕✖", r" \times "),
    **dict.fromkeys("·⋅∙•∗", r" \cdot "),
    **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("≤≦⩽", r" \leq "),
    **dict.fromkeys("≥≧⩾", r" \geq "),
    **dict.fromkeys("°º˚", r"^{\circ}"),
    **dict.fromkeys("∅⌀", r" \emptyset "),
    **dict.fromkeys("∆", r" \Delta "),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("“”″", '"'),
    **dict.fromkeys("\u200b\u2060\ufeff\u00ad", ""),
    "∞": r" \infty ",
    "≠": r" \neq ",
    "≈": r" \approx ",
    "±": r" \pm ",
    "∓": r" \mp ",
    "∪": r" \cup ",
    "∩": r" \cap ",
    "∖": r" \setminus ",
    "∈": r" \in ",
    "∨": r" \lor ",
    "∧": r" \land ",
    "∠": r" \angle ",
    "∘": r" \circ ",
    "ℝ": r" \mathbb{R} ",
    "ℤ": r" \mathbb{Z} ",
    "ℕ": r" \mathbb{N} ",
    "ℚ": r" \mathbb{Q} ",
    "ℂ": r" \mathbb{C} ",
    "…": r" \ldots ",
    "。": ".",
    "、": ",",
}
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi omega"
for _name in (*GREEK.split(), "pi", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega"):
    _case = "SMALL" if _name[0].islower() else "CAPITAL"
    _letter = unicodedata.lookup(f"GREEK {_case} LETTER {'LAMDA' if _name.lower() == 'lambda' else _name.upper()}")
    SYMBOLS[_letter] = rf" \{_name} "
TABLE = str.maketrans(SYMBOLS)
FUNCTIONS = "arcsin arccos arctan sinh cosh tanh sin cos tan cot sec csc ln log exp max min gcd lcm"
NAMES = {
    **{name: rf"\{name}" for name in (*FUNCTIONS.split(), "pi", *GREEK.split()) if name != "exp"},
    **dict.fromkeys(("infinity", "infty", "inf", "Infinity", "oo"), r"\infty"),
    "asin": r"\arcsin",
    "acos": r"\arccos",
    "atan": r"\arctan",
}
NAME = re.compile(rf"(?<![\\A-Za-z{{])({'|'.join(sorted(NAMES, key=len, reverse=True))})(?![A-Za-z}}])")
SENTENCES = {
    **dict.fromkeys(
        ("no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set"),
        r"\emptyset",
    ),
    **dict.fromkeys(
        (
            *("all real numbers", "all reals", "any real number", "all real values", "every real number"),
            *("the set of all real numbers", "set of all real numbers", "the real numbers"),
        ),
        r"\mathbb{R}",
    ),
    **dict.fromkeys(("dne", "undefined", "does not exist", "the limit does not exist"), r"\text{undefined}"),
    **dict.fromkeys(("positive infinity", "+infinity"), r"\infty"),
    "negative infinity": r"-\infty",
}
TEXT = re.compile(
    r"\\(?:text|textrm|textbf|textit|textnormal|mathrm|mathbf|mathsf|mathit|mbox|rm|operatorname)\s*\*?\s*"
)
SPACE = re.compile(r"(?<!\\)\\(?:quad|qquad|enspace|thinspace|[,;:!> ])|[~\u00a0\u2000-\u200a\u202f\u3000]")
THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,|\\[,!; ]|,\\!|[\u00a0\u2009\u202f ])(?=\d{3}(?!\d))")
GROUPED = re.compile(r"\d{1,3}(?:(?:\{,\}|,\\!|\\[,!; ]|[,\u00a0\u2009\u202f ])\d{3})+(?!\d)")
SCIENTIFIC = re.compile(r"(?<![A-Za-z\\\d.])((?:\d+\.?\d*|\.\d+))[eE]([+-]?\d+)(?![A-Za-z\d])")
TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
# A set by its condition: {x | x > 3}.
BUILT = re.compile(
    r"^\\\{\s*[A-Za-z]\s*(?:\\in\s*\\mathbb\s*\{R\})?\s*(?:\\mid|\\vert|\||:|\\colon)\s*((?:[^|]|\|[^|]*\|)+?)\s*\\\}$"
)
VULGAR = {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in (0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F))}
VULGAR["↉"] = "0⁄3"


def closing(text: str, start: int) -> int:
    """Return the place of the bracket that closes the one at ``start``, -1 if there is none."""
    opened, closed = text[start], {"(": ")", "{": "}", "[": "]"}[text[start]]
    depth = 0
    for place in range(start, len(text)):
        depth += {opened: 1, closed: -1}.get(text[place], 0)
        if depth == 0:
            return place
    return -1


def rewrite(text: str, head: str, make: str) -> str:
    """Replace ``head`` with its bracketed argument: ``sqrt(…)`` by ``make`` with the argument at ``@``."""
    pattern, start = re.compile(rf"(?<![A-Za-z])\\?(?:{head})\s*(?=\()"), 0
    while match := pattern.search(text, start):
        end = closing(text, match.end())
        if end < 0:
            return text
        made = make.replace("@", text[match.end() + 1 : end])
        text = text[: match.start()] + made + text[end + 1 :]
        start = match.start() + 1
    return text


def exponents(text: str) -> str:
    """Put exponents in braces: ``x^12``, ``x^-1``, ``x^(1/2)``."""
    text = re.sub(r"_(\d)(?=\s)", r"_{\1}", text)
    text = re.sub(r"\^\s*([+-]?\d+(?:\.\d+)?|-[A-Za-z])(?![\d}])", r"^{\1}", text.replace("**", "^"))
    start = 0
    while (place := text.find("^(", start)) >= 0:
        end = closing(text, place + 1)
        if end < 0:
            break
        text = f"{text[:place]}^{{{text[place + 2 : end]}}}{text[end + 1 :]}"
        start = place + 1
    return text


def plain(text: str) -> str:
    """Return ``text`` with the letters of other widths and styles as ASCII, and HTML's signs as themselves."""
    text = "".join(
        unicodedata.normalize("NFKC", letter) if "\uff01" <= letter <= "\uff5e" or letter >= "\U0001d400" else letter
        for letter in text
    )
    text = re.sub(r"<sup>(.*?)</sup>", r"^{\1}", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return text


def unicode_mathematics(text: str) -> str:
    """Return superscripts, fractions, roots and signs as LaTeX."""
    for sign, form in VULGAR.items():
        if sign in text:
            top, bottom = form.split("⁄")
            text = re.sub(rf"(?<=\d)\s*{sign}", rf" \\frac{{{top}}}{{{bottom or '1'}}}", text)
            text = text.replace(sign, rf"\frac{{{top}}}{{{bottom or '1'}}}")
    text = SUPERSCRIPT.sub(lambda found: f"^{{{found[0].translate(SUPERSCRIPTS)}}}", text)
    text = SUBSCRIPT.sub(lambda found: f"_{{{found[0].translate(SUBSCRIPTS)}}}", text)
    for sign, root in (("√", r"\\sqrt"), ("∛", r"\\sqrt[3]"), ("∜", r"\\sqrt[4]")):
        text = rewrite(text, sign, root[1:] + "{@}")
        text = re.sub(rf"{sign}\s*(?:(\d+(?:\.\d+)?|[A-Za-zπ])|\{{([^{{}}]*)\}})", rf"{root}{{\1\2}}", text)
    return text.translate(TABLE)


def ungrouped(text: str) -> str:
    """Return ``text`` with whole numbers of properly grouped thousands as digits alone; lists stay lists."""
    return GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]) if is_number(text, found) else found[0], text)


def is_number(text: str, found: re.Match[str]) -> bool:
    """Tell whether grouped digits are one number: not in brackets, where 1,200 is a pair, nor behind a point."""
    before = text[: found.start()]
    if re.search(r"[\d.]$", before):
        return False
    inside = any(before.count(left) > before.count(right) for left, right in ("()", "[]")) or r"\{" in before
    return not inside or not re.search(r"[, ]", found[0])


def to_latex(text: str) -> str:
    r"""Return what a text of mathematics says, as LaTeX that latex2sympy reads.

    >>> to_latex("2√3"), to_latex("x²+1"), to_latex("pi/2"), to_latex("x^10")
    ('2\\sqrt{3}', 'x^{2}+1', '\\pi/2', 'x^{10}')
    """
    text = plain(text).strip()
    if r"\begin" not in text:
        text = re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)
    bare = re.sub(r"\s+", " ", TEXT.sub("", text).strip("${}()[]⟦⟧ .!")).casefold()
    if bare in SENTENCES:
        return SENTENCES[bare]
    text = text.replace(r"\%", "%").replace(r"\left", "").replace(r"\right", "")
    text = re.sub(r"\\[bB]ig+[lrm]?|\\(?:displaystyle|textstyle|limits)(?![A-Za-z])", "", text)
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text)
    text = re.sub(r"\\leqslant|\\le(?![A-Za-z])|<=", r" \\leq ", text)
    text = re.sub(r"\\geqslant|\\ge(?![A-Za-z])|>=", r" \\geq ", text)
    text = re.sub(r"\\neq?(?![A-Za-z])|(?<![\d!])!=", r" \\neq ", text)
    text = re.sub(r"\\lt(?![A-Za-z])", "<", re.sub(r"\\gt(?![A-Za-z])", ">", text))
    text = re.sub(r"\\varnothing|\\O(?![A-Za-z])|\\\{\s*\\\}|^\{\s*\}$", r" \\emptyset ", text)
    text = re.sub(r"\\degrees?(?![A-Za-z])|\^\s*\{?\s*\\circ\s*\}?|\^\s*\{?o\}?(?![A-Za-z])", r"^{\\circ}", text)
    text = re.sub(r"\\(?:mathrm|text|operatorname)\s*\{\s*(e|i|d|pi)\s*\}", lambda m: NAMES.get(m[1], m[1]), text)
    text = re.sub(r"\\(?:ast|cdotp|bullet)(?![A-Za-z])", r"\\cdot ", text)
    text = ungrouped(text)
    text = re.sub(r"\s+", " ", SPACE.sub(" ", text)).strip()
    text = unicode_mathematics(text)
    text = SCIENTIFIC.sub(r"\1 \\times 10^{\2}", TIMES_TEN.sub(r" \\times ", text))
    text = rewrite(rewrite(text, "sqrt", r"\sqrt{@}"), "cbrt", r"\sqrt[3]{@}")
    text = rewrite(rewrite(text, "exp", "e^{@}"), "abs", "|@|")
    text = exponents(text)
    text = re.sub(r"\s*\*\s*", r" \\cdot ", text)
    text = re.sub(r"(?<=[)\]])\s*(?:U|u|union)\s*(?=[\[(])", r" \\cup ", text)
    text = NAME.sub(lambda found: f"{NAMES[found[1]]} ", text)
    text = BUILT.sub(r"\1", text.strip())
    return re.sub(r"\s+", " ", text).replace(" )", ")").replace(r"\pi /", r"\pi/").strip()
