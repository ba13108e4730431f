"""Marks of an answer in a text: tags, boxes, sentences, headings, in several languages."""

from __future__ import annotations

import re

ANSWER_START = re.compile(r"<\s*(?:answer|solution|final_answer)\s*>|<\|begin_of_solution\|>|<\|begin_of_box\|>", re.I)
ANSWER_END = re.compile(r"<\s*/\s*(?:answer|solution|final_answer)\s*>|<\|end_of_solution\|>|<\|end_of_box\|>", re.I)
BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
GAP = r"[\s*_]{0,8}"
_TO = r"(?:\s+(?:to|of|for)\s+[^.\n:：?=]{1,60}?)?(?:\s*\([^)\n]{1,40}\))?"
_THEN = r"(?:(?:therefore|thus|then|indeed|also)\s+)?"
_BE = rf"(?:would|should|must|will|has\s+to|can\s+only|comes\s+out\s+to)\s+{_THEN}be"
_IS = rf"(?:is|are|was|equals|{_BE}|comes\s+out\s+as)\b"
_CHOICE = r"(?:correct|right|best|final|proper|answer)\s+(?:option|choice)"
_NOUN = rf"(?:answers?(?:\s+(?:option|choice|letter))?|{_CHOICE}|(?:final|end)\s+(?:result|value)|result|solution)"
ENGLISH = re.compile(
    rf"\b{_NOUN}{_TO}{GAP}(?:>\s?[:：]|(?:[,]?\s*(?:therefore|thus|then|hence|also|so|again|clearly|indeed),?\s+)?{_IS}(?:\s+(?:therefore|thus|then|hence|simply|clearly|indeed|just|also|exactly|definitely|most\s+likely|likely),?)*{GAP}[:：]?"
    rf"|[:：=→]|\s[–—-](?=\s)|\s?(?:->|=>|→)|[–—])(?:\s|[*_])*"
    rf"|(?:^|\n)\s*[#*_ ]*(?:option|choice)\s*[*_]*\s*[:：]\s*[*_]*\s*",
    re.IGNORECASE,
)
HEADING = re.compile(
    r"(?:^|\n)[ \t]*(?:#{1,6}[ \t]*|\*\*|__)?[ \t]*(?:(?:the|my|our)[ \t]+)?(?:(?:final|correct)[ \t]+)?answers?[ \t]*"
    r"(?:[:：])?[ \t]*(?:\*\*|__)?[ \t]*(?:[:：])?[ \t]*\n\s*",
    re.IGNORECASE,
)
FOREIGN = re.compile(
    r"(?:(?:最终|正确|最后|所以|因此|故|本题)?(?:的)?(?:答案|答え|解答|正解|选项)(?:选项)?\s*(?:[:：]|是|为|為|は|应该是|应为|选)\s*[:：]?"
    r"|(?:故|应|因此|所以|本题|我|^|\n)\s*[选選](?:择|擇)?\s*[:：]?\s*(?=[（(]?[A-Za-z])"
    r"|(?:정답|답|최종\s*답)\s*(?:은|는|:|：)\s*[:：]?"
    r"|\b(?:respuesta|solución|réponse|reponse|solution|antwort|lösung|resposta|solução|risposta|soluzione|antwoord|odpowied[zź]"
    r"|svaret|svar|cevap|yanıt|đáp\s+án|jawaban(?:nya)?|ответ)(?:\s+(?:correcta?|final|finale?|correta|corretta|richtige|juste|bonne|est\s+donc))?"
    r"\s*(?:[:：]|\s[–—-]\s|\b(?:es|est|ist|lautet|sera|será|é|è|is|to|är|er|là|adalah|это)(?=\s)|[–—])\s*[:：]?)"
    r"(?:\s|[*_])*",
    re.IGNORECASE,
)
# "If the answer is 4, …" states nothing.
CONDITION = re.compile(
    r"\b(?:if|suppose|supposing|assume|assuming|whether|unless|until|say|imagine|check(?:ing)?\s+(?:if|that)|not\s+sure)"
    r"(?:\s+that)?(?:\s+(?:the|our|my|this|final|correct|right))*\s*$",
    re.IGNORECASE,
)
# "15 is the answer", "(C) is correct", "option C is right"
BACKWARDS = re.compile(
    r"(?:^|[\s*(])(?P<said>\$[^$\n]{1,80}\$|\*\*[^*\n]{1,40}\*\*|[^\s*]{1,40})\s+is\s+(?:therefore\s+|thus\s+|indeed\s+)?"
    r"(?:the|our|my)\s+(?:correct\s+|right\s+|final\s+|best\s+)?(?:answer|option|choice)\b(?!\s+to\s+(?:a|another)\b)",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<=[\w)\]$}%*\"'°²³½])[.!](?=\s|$|\*)|[。！]")
FOREIGN_END = re.compile(r"\s*(?:です|である|になります|입니다|이다|이에요)?\s*$")

# A text that doubts after its answer and breaks off in mid-sentence has taken the answer back.
DOUBT = re.compile(
    r"\b(?:wait|hmm+|hold\s+on|but\s+let|let\s+me\s+(?:re|double|check|verify|see|think|count|make\s+sure|just)|let's\s+(?:re|double|check|verify)"
    r"|actually|not\s+sure|or\s+not|or\s+maybe|alternatively|i\s+should\s+(?:check|verify|re|double)|no,|re-?check(?:ing)?|double-?check(?:ing)?"
    r"|but\s+(?:what|maybe|is|that|this|i|then|if)\b|oops|perhaps)",
    re.IGNORECASE,
)
FINISHED = re.compile(r"[.!?。！？)\]}>$\"'”’`*|✓✅]\s*$")
RETRACTED = re.compile(
    r"^[\s.,;:!?$}*)\]]*(?:no|wait|hmm+|oh|oops|actually|but|sorry|hold\s+on)\b[^\n]{0,120}?\b(?:"
    r"(?:that|this|it|which)(?:'s|\s+is|\s+was|\s+can't\s+be|\s+cannot\s+be|\s+isn't|\s+is\s+not|\s+must\s+be)\s+(?:not\s+)?"
    r"(?:wrong|incorrect|right|correct|false|a\s+mistake|impossible)|scratch\s+that|i\s+made\s+an?\s+(?:mistake|error))",
    re.IGNORECASE,
)
AFFIRMED = re.compile(r"(?:that|this|it)(?:'s|\s+is|\s+was|\s+must\s+be)\s+(?:right|correct)", re.IGNORECASE)
TURN_END = re.compile(
    r"<\|(?!channel|message|start)[a-zA-Z_]+\|>|</s>|<eos>|<end_of_turn>|<turn\|>|<[|｜]end▁of▁sentence[|｜]>"
)


def bracketed(text: str, start: int) -> int:
    """Return the place of the brace that closes the one before ``start``, -1 if there is none."""
    depth = 1
    for match in re.compile(r"\\[{}\\]|[{}]").finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return -1


def last_box_place(text: str) -> tuple[int, int, str] | None:
    r"""Return (start, end, content) of the last closed ``\boxed{}``, None if there is none."""
    last = None
    for match in BOX.finditer(text):
        end = bracketed(text, match.end())
        if end < 0:
            return last
        last = (match.start(), end + 1, text[match.end() : end].strip())
    return last


def last_block_place(text: str) -> tuple[int, int, str] | None:
    """Return (start, end, content) of the last closed ``<answer>`` block, None if there is none."""
    ends = list(ANSWER_END.finditer(text))
    if not ends:
        return None
    starts = list(ANSWER_START.finditer(text, 0, ends[-1].start()))
    if not starts:
        return None
    return starts[-1].start(), ends[-1].end(), text[starts[-1].end() : ends[-1].start()].strip()


def first_sentence(text: str) -> str:
    """Return the first sentence of the first line, without the marks of bold type."""
    line = text.lstrip().split("\n", 1)[0]
    return FOREIGN_END.sub("", SENTENCE_END.split(line, maxsplit=1)[0]).strip().strip("*_").strip()


def last_sentence_place(text: str) -> tuple[int, int, str] | None:
    """Return (start, end, content) of the last sentence or heading that says what the answer is, None if none does."""
    found = []
    for pattern in (ENGLISH, HEADING, FOREIGN, BACKWARDS):
        matches = [match for match in pattern.finditer(text) if not CONDITION.search(text[: match.start()][-60:])]
        if not matches:
            continue
        match = matches[-1]
        said = match["said"].strip("*.,:") if pattern is BACKWARDS else first_sentence(text[match.end() :])
        if said:
            end = match.end() if pattern is BACKWARDS else text.find(said, match.end()) + len(said)
            found.append((match.start(), end, said))
    return max(found, key=lambda place: place[1], default=None)
