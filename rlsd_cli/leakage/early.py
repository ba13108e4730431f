"""Answer before derivation: the gold answer is asserted first, and the steps that would derive it come after.

A completion is marked if its first asserted answer is the gold answer, nothing
before the assertion derives anything, and a derivation follows. A bare answer
without any steps is not marked, and neither is an answer that the prompt shows.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rlsd_cli.leakage.normalise import normalise

EARLY_RULE = "answer_before_derivation"
FIRST_RULE = "answer_first"
PREAMBLE_WORDS = 6  # words in sentences before the one that asserts: "Sure, here is the answer."
CLAUSE_WORDS = 12  # words before the assertion within its own sentence: "Since we need to show that the"
FOLLOWING_WORDS = 15  # words after it that count as a derivation where no formula does
LONGEST_ANSWER = 200  # characters; what is longer is a solution
OPENING = 200  # characters within which a statement that is no `answer is` may give the value
HEAD, LEAD = 4000, 400  # characters: what is read at all, and where an early assertion can begin

_GAP = "[ ]{0,24}"
_ASSERTION = re.compile(
    r"\bboxed[ ]{1,24}(?:text[ ]{1,24})?"
    r"|\banswers?[ ]{0,24}(?:[:=]|(?:is|was|says|must be|should be|will be|equals)\b(?:[ ]{0,24}:)?)[ ]{0,24}"
    r"|\banswer[ ]{1,24}(?=[-\d])"
)
_HEDGE = re.compile(r"\b(?:suppose|assume|guess|guessing|if|let|maybe|perhaps|could|might|whether|try)\b")
_STEP = re.compile(
    rf"\w{_GAP}[=≡≈⇒→]{_GAP}[\w-]|\d{_GAP}[-+*/×·÷^]{_GAP}\d"
    rf"|\d{_GAP}(?:equiv|approx|implies|cdot|times|le|ge|neq|div)[ ]{{1,24}}\w"
)
_SENTENCE_END = re.compile(r"[.!?:](?= )|\x1e")
# What may not follow the value: "the answer is 3/4 of it" and "the answer is 12 times 2" do not assert 3 and 12.
_GOES_ON = re.compile(
    rf"\w|[.,]\d|{_GAP}(?:[-+*/^=<>×·÷]|(?:cdot|times|divided|more|less|plus|minus|over|pmod|frac|sqrt|pi)\b)"
)
# A statement that gives a value, its verb at most three words before it; or the value opens the sentence.
_STATES = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|it's|that's|gets?|got|received|receives|has|have|gives|comes? to|makes?|costs?"
    r"|needs?|totals?|show|find|obtain|amounts to|turns out)\b|=)(?:[ ]{1,24}[\w$'-]{1,14}){0,3}[ ]{0,24}$"
)
# What a sign of equality gives is computed there and then if numbers stand before it (a `*` is a space by then).
_COMPUTED = re.compile(r"\d[^.!?;:\x1e]{0,24}=[ ]{0,24}$")
_OPENS = re.compile(r"(?:^|[.!?:\x1e>])(?:[ ]{0,24}(?:so|well|okay|ok|ah|clearly|obviously)\b,?)?[ ]{0,24}$")
_VERB_AFTER = re.compile(
    r"[ ]{1,24}(?:[\w$%]{1,14}[ ]{1,24}){0,2}(?:is|are|it|was|were|must|will|would|in total|altogether)\b|[ ]{0,24}[.!]"
)
_WORD = re.compile(r"\w+")
_STYLE = re.compile(r"\\(?:text|mathrm|left|right|displaystyle)(?![a-z])|\\[,;! ]")


def plain(answer: str) -> str:
    r"""Return an answer as normalised text shows it, with single spaces.

    >>> plain(r"$\\dfrac{3}{4}$"), plain("$1,024")
    ('frac 3 4', '1024')
    """
    text = normalise(_STYLE.sub(" ", answer)).replace("dfrac", "frac").replace("tfrac", "frac")
    return " ".join(re.sub(r"(?<=\d),(?=\d{3})", "", text).split()).strip(" .")


@lru_cache(maxsize=4096)
def value_pattern(gold: str) -> re.Pattern[str]:
    """Compile a plain answer into a pattern over normalised text (thousands may be grouped)."""
    words = [re.escape(word).replace("frac", "[dt]?frac") for word in gold.split()]
    grouped = [re.sub(r"(?<=\d)(?=(?:\d{3})+$)", ",?", word) for word in words]
    return re.compile(r"(?<![\w.-])" + _GAP.join(grouped))


def shows(text: str, gold: str) -> bool:
    """Tell whether ``text`` (normalised) contains the plain answer ``gold`` as a value of its own."""
    return any(not re.match(r"\w|[.,]\d", text[m.end() : m.end() + 2]) for m in value_pattern(gold).finditer(text))


@lru_cache(maxsize=64)
def hidden(answer: str, prompt: str) -> bool:
    """Tell whether a gold answer can be looked for: it is short, has text, and the prompt does not show it."""
    gold = plain(answer[: LONGEST_ANSWER + 1])
    return bool(gold) and len(answer) <= LONGEST_ANSWER and not shows(normalise(prompt), gold)


def lead_is_short(lead: str) -> bool:
    """Tell whether the text before an assertion is too short to derive anything."""
    ends = [match.end() for match in _SENTENCE_END.finditer(lead)]
    cut = ends[-1] if ends else 0
    return len(_WORD.findall(lead[:cut])) <= PREAMBLE_WORDS and len(_WORD.findall(lead[cut:])) <= CLAUSE_WORDS


def early_answer(completion: str, answer: str, prompt: str = "") -> tuple[int, int] | None:
    """Return the span of an answer that is asserted before anything derives it, or None.

    Args:
        completion: The text that the model wrote.
        answer: The gold answer, as text.
        prompt: What the model saw; an answer that stands there is not marked.
    """
    opening = completion[:LEAD].lower()
    if "answer" not in opening and "boxed" not in opening:
        return None
    text = normalise(completion[:HEAD])
    match = _ASSERTION.search(text, 0, LEAD)
    if match is None or not hidden(answer, prompt):
        return None
    lead = text[: match.start()]
    value = value_pattern(plain(answer)).match(text, match.end())
    if value is None or _GOES_ON.match(text, value.end()):
        return None
    if _STEP.search(lead) or _HEDGE.search(lead) or not lead_is_short(lead):
        return None
    rest = text[value.end() :]
    if not _STEP.search(rest) and len(_WORD.findall(rest)) < FOLLOWING_WORDS:
        return None
    return match.start(), value.end()


def answer_first(completion: str, answer: str, prompt: str = "") -> tuple[int, int] | None:
    """Return the span of a gold answer that the opening states in other words than `answer is`, or None.

    "It's $12." or "We will show that the sum equals 2500", with the derivation
    behind it. The arguments are those of `early_answer`.
    """
    gold = plain(answer)
    if not hidden(answer, prompt) or (gold.isalnum() and not value_pattern(gold).search(completion[:LEAD].lower())):
        return None
    text = normalise(completion[:HEAD])
    match = value_pattern(gold).search(text, 0, OPENING)
    # Marks inside words make the clean text shorter: rare, and the span would be wrong.
    if match is None or len(text) != len(completion[:HEAD]) or _GOES_ON.match(text, match.end()):
        return None
    lead, rest = text[: match.start()], text[match.end() :]
    asserted = _ASSERTION.search(lead)
    if asserted or _STEP.search(lead) or _COMPUTED.search(lead) or _HEDGE.search(lead) or not lead_is_short(lead):
        return None
    stated = _STATES.search(lead) or (_OPENS.search(lead) and _VERB_AFTER.match(rest))
    return match.span() if stated and _STEP.search(rest) else None
