r"""What an answer is: of a completion and of a data set's row. Training, evaluation and audit all ask here.

A completion's answer is what it marks as its answer after its reasoning: an ``<answer>`` block, a ``\boxed{}``, or
"the answer is …". A number that merely occurs is none, unless the whole text is that number. Of several marks of one
kind the last counts, because models correct themselves. A row's answer is its gold text without the worked solution
around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlsd_cli.records.missing import is_missing
from rlsd_cli.verifiers.marks import (
    AFFIRMED,
    DOUBT,
    FINISHED,
    RETRACTED,
    TURN_END,
    last_block_place,
    last_box_place,
    last_sentence_place,
)
from rlsd_cli.verifiers.notation import to_latex
from rlsd_cli.verifiers.quantity import read_number
from rlsd_cli.verifiers.reasoning import cut_reasoning

MAX_ANSWER_CHARS = 512  # the official script's cap on what its grader sees (math_task.py, grader_max_chars)
TAIL_CHARS = 20_000  # the answer stands at the end; regular expressions need not see more
MOST_LONE = 40
GOLD_FIELDS = ("ground_truth", "target")  # of a struct: verl's reward_model and its relatives


@dataclass(frozen=True)
class Stated:
    """The answer that a completion states, '' if it states none, and where it was found or why there is none."""

    answer: str
    how: str


def last_box(text: str) -> str | None:
    r"""Return the content of the last ``\boxed{}``, None if there is none.

    A box that is never closed does not count: the completion broke off inside its answer.

    >>> last_box(r"\boxed{1} or rather \boxed{\frac{1}{2}}")
    '\\frac{1}{2}'
    """
    place = last_box_place(text)
    return place[2] if place else None


def state(text: str) -> Stated:
    """Return what a completion states, and how.

    Args:
        text: The whole completion; where the prompt opened the reasoning, with that tag before it
            (`rlsd_cli.verifiers.reasoning.opening_of`).
    """
    rest = cut_reasoning(text)
    if text.strip() and not rest.strip():
        return Stated("", "the reasoning never ended")
    rest = TURN_END.sub("", rest[-TAIL_CHARS:]).replace("\x08oxed{", "\\boxed{")
    found = last_mark(rest)
    if found is None:
        return Stated(rest.strip(), "the whole text") if is_lone_number(rest) else Stated("", "no answer is stated")
    end, said, how = found
    after = rest[end:]
    taken_back = RETRACTED.search(after)
    if len(said) > MAX_ANSWER_CHARS:
        said, how = "", f"the answer has more than {MAX_ANSWER_CHARS} characters"
    elif DOUBT.search(after) and not FINISHED.search(rest):
        said, how = "", "the answer is doubted and the text breaks off"
    elif taken_back and not AFFIRMED.search(taken_back[0]):
        said, how = "", "the answer is taken back"
    return Stated(said, how)


def last_mark(text: str) -> tuple[int, str, str] | None:
    """Return (end, answer, kind) of the mark that counts: a block before a box before a sentence; None if none."""
    block = last_block_place(text)
    if block:
        boxed = last_box_place(block[2])
        return block[1], boxed[2] if boxed else block[2], "the last answer block"
    if boxed := last_box_place(text):
        return boxed[1], boxed[2], "the last box"
    if sentence := last_sentence_place(text):
        return sentence[1], sentence[2], "the last sentence that names the answer"
    return None


def is_lone_number(text: str) -> bool:
    """Tell whether a text is a number and nothing else, as of a model that answers directly."""
    bare = text.strip().strip("$*").rstrip(".").strip()
    return 0 < len(bare) <= MOST_LONE and read_number(to_latex(bare)) is not None


def stated_answer(text: str) -> str:
    r"""Return the answer that a completion states, '' if it states none or one longer than 512 characters.

    >>> stated_answer(r"<thought>\boxed{3}</thought><answer>\boxed{4}</answer>")
    '4'
    >>> stated_answer("my work mentions 34")
    ''
    """
    return state(text).answer


def answer_of(value: Any) -> str:
    r"""Return the gold answer that a row's value holds, '' where it holds none.

    Of a list of accepted answers the first, of verl's ``reward_model`` its ``ground_truth``, of GSM8K's worked
    solution what follows ``####``, of MATH's what its last ``\boxed{}`` holds.

    >>> answer_of("3 + 4 = <<3+4=7>>7 pens.\n#### 7"), answer_of({"ground_truth": 5}), answer_of(float("nan"))
    ('7', '5', '')
    >>> answer_of(r"So $x=\boxed{\frac{1}{2}}$.")
    '\\frac{1}{2}'
    """
    if is_missing(value):
        return ""
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars
        value = value.tolist()
    if isinstance(value, dict):
        value = next((value[field] for field in GOLD_FIELDS if field in value), None)
        return "" if isinstance(value, dict) else answer_of(value)
    if isinstance(value, list | tuple):
        return answer_of(value[0]) if value and not isinstance(value[0], list | tuple) else ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = str(value).rsplit("####", 1)[-1].strip()
    if block := last_block_place(text):
        text = block[2]
    boxed = last_box(text)
    text = text if boxed is None else boxed
    return "" if is_missing(text) else text
