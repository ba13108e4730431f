"""MathVista (arXiv 2310.02255), split testmini: 1,000 questions on charts, geometry, puzzles.

Layout (hub AI4Math/MathVista): pid, question, image (a path), decoded_image, choices, unit, precision,
answer (of a multiple-choice question the option's text), question_type ("multi_choice" or "free_form"),
answer_type ("text", "integer", "float", "list"), metadata (category, task, skills, …), query
(the official prompt: hint, question, unit, choices).

Rules: evaluation/calculate_score.py of the official repository, as kept in lmms-eval
(lmms_eval/tasks/mathvista/mathvista_evals.py). The official extraction asks GPT; here the answer must be
stated (``rlsd_cli.verifiers.answers``). The official normalisation then takes the option that is nearest by
edit distance; here an answer that is no option is wrong. Both tend to make our numbers lower.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from rlsd_cli.evaluation.benchmarks.base import Benchmark, Question, accuracy_by, lettered, plain_accuracy
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.answers import stated_answer
from rlsd_cli.verifiers.choice import judge_letter, letter_of_text
from rlsd_cli.verifiers.numeric import parse_number
from rlsd_cli.verifiers.reasoning import cut_reasoning
from rlsd_cli.verifiers.verdict import Verdict


def read(row: Mapping[str, Any]) -> Question:
    """Return a row as a question."""
    choices = [str(choice) for choice in row["choices"] or []]
    text = row.get("query") or row["question"] + ("\nChoices:\n" + lettered(choices) if choices else "")
    return Question(
        id=str(row["pid"]),
        text=text,
        answer=str(row["answer"]),
        images=(row["decoded_image"],),
        meta={
            "options": choices,
            "letter": letter_of_text(str(row["answer"]), choices) if choices else None,
            "answer_type": row["answer_type"],
            "precision": int(row["precision"] or 0),
            "task": (row.get("metadata") or {}).get("task") or "other",
        },
    )


def numbers(text: str) -> list[float] | None:
    """Return the numbers of a list such as ``[2007, 2008]``, None if it is no list of numbers."""
    try:
        value = ast.literal_eval(text.strip().strip("$"))
        return [float(each) for each in value]
    except (ValueError, SyntaxError, TypeError):
        return None


def same_value(extracted: str, gold: str, answer_type: str, precision: int) -> bool:
    """Return whether two free-form answers are equal by the rule of their type.

    Integers are cut, floats rounded to the question's precision, lists compared number by number.
    """
    if answer_type == "list":
        found = numbers(extracted)
        return found is not None and found == numbers(gold)
    value, target = parse_number(extracted.replace("%", "")), parse_number(gold)
    if value is None or target is None:
        return extracted.strip() == gold.strip()
    if answer_type == "integer":
        return int(value) == int(target)
    return round(value, precision) == round(target, precision)


def judge(completion: str, example: Example) -> Verdict:
    """Judge a completion: an option by letter or text, a number by its type's rule."""
    if example.meta["options"]:
        return judge_letter(completion, example.meta["letter"], example.meta["options"])
    rest = cut_reasoning(completion).strip()
    extracted = stated_answer(completion) or (rest if parse_number(rest) is not None or numbers(rest) else "")
    meta = example.meta
    right = bool(extracted) and same_value(extracted, example.answer, meta["answer_type"], meta["precision"])
    return Verdict(right, extracted, f"{'equal' if right else 'not equal'} by the rule of {meta['answer_type']}")


def metrics(examples: Sequence[Example], correct: Sequence[bool]) -> dict[str, float]:
    """Return the accuracy over all questions and per task (figure question answering, geometry, …)."""
    return {**plain_accuracy(examples, correct), **accuracy_by(examples, correct, "task")}


MATHVISTA = Benchmark(
    name="mathvista",
    hub="AI4Math/MathVista",
    split="testmini",
    columns=("pid", "question", "decoded_image", "choices", "precision", "answer", "answer_type"),
    instruction=r"Think step by step and put the final answer alone into \boxed{}; of choices, only the letter.",
    read=read,
    judge=judge,
    metrics=metrics,
    protocol="one completion, greedy (the official models/gpt.py and lmms-eval: temperature 0)",
)
