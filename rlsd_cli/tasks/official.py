"""Student prompts in the order of RLSD's released script: role, goal and format by problem type, question, options.

The order and the sense of github iie-ycx/RLSD 93e46f7 (examples/visual_rl/format_prompt/unified.jinja), in own words.
The teacher's prompt there has the bare question, the reference, and the format again: `teacher.template`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

MATHS = ("math", "mathematics")


class Kind(NamedTuple):
    """A problem type: what the model is good at, its heading, what is to be done, and what the answer must be."""

    role: str
    heading: str
    goal: str
    constraint: str = ""


GENERAL = Kind("answering questions of all kinds", "General", "answer the question in its context")
KINDS = {
    "math": Kind("solving mathematical problems", "Mathematics", "solve the problem"),
    "multiple choice": Kind(
        "solving multiple-choice questions",
        "Multiple choice",
        "choose the right option",
        "the answer is the letter of the right option and nothing else (A, B, C, D and so on)",
    ),
    "numerical": Kind(
        "solving numerical problems",
        "Numerical",
        "work out the number that is asked for",
        "the answer is the number and nothing else",
    ),
    "open-ended": Kind("answering questions of all kinds", "Open-ended", "answer the question in its context"),
    "ocr": Kind(
        "reading text in images",
        "Text recognition",
        "write down the text that the image shows",
        "the answer is the text just as it stands there",
    ),
    "boolean": Kind(
        "judging statements", "Yes or no", "say whether the statement is true", 'the answer is "Yes" or "No"'
    ),
}
SAME_AS = {
    "mathematics": "math",
    "multiple_choice": "multiple choice",
    "number": "numerical",
    "regression": "numerical",
    "open_ended": "open-ended",
    "free-form": "open-ended",
    "binary classification": "boolean",
}


def normal(problem_type: Any) -> str:
    """Return a problem type as it is looked up, '' where there is none."""
    name = str(problem_type or "").lower().strip()
    return SAME_AS.get(name, name)


def official_text(question: str, problem_type: Any, options: Any, instruction: str) -> str:
    """Return the student's text.

    Args:
        question: As the data set has it.
        problem_type: Of the row; one that is not known here is general.
        options: A list of texts, shown below a multiple-choice question; anything else is none.
        instruction: How to write thought and answer (`task.data.instruction`).
    """
    kind = KINDS.get(name := normal(problem_type), GENERAL)
    lines = [f"You are an assistant who is good at {kind.role}.", "", f"[{kind.heading}]", f"- Goal: {kind.goal}."]
    if instruction:
        lines.append(f"- Format: {instruction}")
    if kind.constraint:
        lines.append(f"- Constraint: {kind.constraint}.")
    lines += ["", question.strip()]
    shown = list(options) if isinstance(options, Sequence) and not isinstance(options, str) else []
    if name == "multiple choice" and shown:
        lines += ["", "Options:", *map(str, shown)]
    return "\n".join(lines)
