r"""Finding the stated answer of a completion: reasoning is cut off first, then tags, box, sentence.

Only an answer that the text marks as its answer counts: an ``<answer>`` block, a ``\boxed{}``,
or "the answer is …". A number that merely occurs is not an answer. Of several marks of one kind
the last counts, because models correct themselves.
"""

from __future__ import annotations

import re

MAX_ANSWER_CHARS = 512  # the official script's cap on what its grader sees (math_task.py, grader_max_chars)
TAIL_CHARS = 20_000  # the answer stands at the end; regular expressions need not see more

REASONING_END = re.compile(r"</\s*(?:think|thought)\s*>", re.IGNORECASE)
REASONING_START = re.compile(r"<\s*(?:think|thought)\s*>", re.IGNORECASE)
ANSWER_START = re.compile(r"<\s*answer\s*>", re.IGNORECASE)
ANSWER_END = re.compile(r"<\s*/\s*answer\s*>", re.IGNORECASE)
BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
SENTENCE = re.compile(r"\b(?:answer|option|choice)\b[\s*_]{0,8}(?:>\s?:|is\b\s?:?|:|=)[\s*_]{0,8}", re.IGNORECASE)
TURN_END = re.compile(r"<\|[a-z_]+\|>")


def cut_reasoning(text: str) -> str:
    """Return what follows the reasoning in ``<think>`` or ``<thought>`` tags.

    A block that is never closed is all reasoning: a truncated completion has no answer.

    >>> cut_reasoning("<think>maybe 3</think>It is 4.")
    'It is 4.'
    >>> cut_reasoning("It is 4. <think>or maybe")
    'It is 4. '
    """
    ends = list(REASONING_END.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    start = REASONING_START.search(rest)
    return rest[: start.start()] if start else rest


def last_box(text: str) -> str | None:
    r"""Return the content of the last ``\boxed{}``, None if there is none.

    A box that is never closed does not count: the completion broke off inside its answer.

    >>> last_box(r"\boxed{1} or rather \boxed{\frac{1}{2}}")
    '\\frac{1}{2}'
    """
    content = None
    for match in BOX.finditer(text):
        depth = 1
        for position in range(match.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                content = text[match.end() : position].strip()
                break
        else:
            return content
    return content


def last_answer_block(text: str) -> str | None:
    """Return the content of the last closed ``<answer>`` block, None if there is none."""
    ends = list(ANSWER_END.finditer(text))
    if not ends:
        return None
    starts = list(ANSWER_START.finditer(text, 0, ends[-1].start()))
    return text[starts[-1].end() : ends[-1].start()].strip() if starts else None


def last_sentence(text: str) -> str | None:
    """Return what follows the last "answer is" or "answer:" up to the end of its sentence, None if there is none."""
    matches = list(SENTENCE.finditer(text))
    if not matches:
        return None
    line = text[matches[-1].end() :].split("\n", 1)[0]
    sentence = re.split(r"(?<=[\w)$}%*\"])[.!](?=\s|$)", line, maxsplit=1)[0]
    return sentence.strip().strip("*_").strip() or None


def stated_answer(text: str) -> str:
    r"""Return the answer that a completion states, '' if it states none or one longer than 512 characters.

    >>> stated_answer(r"<thought>\boxed{3}</thought><answer>\boxed{4}</answer>")
    '4'
    >>> stated_answer("my work mentions 34")
    ''
    """
    rest = TURN_END.sub("", cut_reasoning(text)[-TAIL_CHARS:])
    block = last_answer_block(rest)
    scope = rest if block is None else block
    box = last_box(scope)
    answer = box if box is not None else block if block is not None else last_sentence(rest)
    return answer if answer and len(answer) <= MAX_ANSWER_CHARS else ""
