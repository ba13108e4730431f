r"""MATH-Vision (arXiv 2402.14804), split test (3,040 questions; testmini has 304 of them).

Layout (hub MathLLMs/MathVision): id, question, options (empty for free-form), image (a path), decoded_image,
answer (a letter where there are options), solution, level (1 to 5), subject.

Rules: evaluation/evaluate.py of github mathllm/MATH-V (a1f5cc3): right if the answer equals the letter or the
option's value, text without case, or numbers that agree to two decimals. Differences: the official code
reads answers from any sentence and by latex2sympy with ``eval``; here the answer must be stated, and
math-verify decides what two decimals do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlsd_cli.evaluation.benchmarks.base import Benchmark, Question, accuracy_by, lettered, plain_accuracy
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.answers import stated_answer
from rlsd_cli.verifiers.choice import LETTERS, gold_letter, judge_letter
from rlsd_cli.verifiers.math import same_text, verify_math
from rlsd_cli.verifiers.numeric import parse_number
from rlsd_cli.verifiers.verdict import Verdict


def read(row: Mapping[str, Any]) -> Question:
    """Return a row as a question."""
    options = [str(option) for option in row["options"] or []]
    answer = str(row["answer"])
    return Question(
        id=str(row["id"]),
        text=row["question"] + ("\n" + lettered(options) if options else ""),
        answer=answer,
        images=(row["decoded_image"],),
        meta={
            "options": options,
            "letter": gold_letter(answer, options) if options else None,
            "level": row["level"],
            "subject": row["subject"],
        },
    )


def judge(completion: str, example: Example) -> Verdict:
    """Judge a completion: an option by letter or value, else mathematics, two decimals sufficing for numbers."""
    if options := example.meta["options"]:
        letter = example.meta["letter"]
        verdict = judge_letter(completion, letter, options)
        # Options may be called by other letters (A, B, D, F, G): the official rule accepts letter and value.
        if not verdict.correct and letter and same_text(stated_answer(completion), options[LETTERS.index(letter)]):
            return Verdict(True, verdict.extracted, "the value of the right option")
        return verdict
    verdict = verify_math(completion, example.answer)
    value, gold = parse_number(verdict.extracted), parse_number(example.answer)
    if not verdict.correct and value is not None and gold is not None and round(value, 2) == round(gold, 2):
        return Verdict(True, verdict.extracted, "equal at two decimals")
    return verdict


def metrics(examples: Sequence[Example], correct: Sequence[bool]) -> dict[str, float]:
    """Return the accuracy over all questions, per level and per subject."""
    return {
        **plain_accuracy(examples, correct),
        **accuracy_by(examples, correct, "level"),
        **accuracy_by(examples, correct, "subject"),
    }


MATHVISION = Benchmark(
    name="mathvision",
    hub="MathLLMs/MathVision",
    split="test",
    columns=("id", "question", "options", "decoded_image", "answer", "level", "subject"),
    instruction=(
        r"Solve the problem step by step and put the final answer into one \boxed{}; "
        "if there are options, only the letter of the right one."
    ),
    read=read,
    judge=judge,
    metrics=metrics,
    protocol="one completion, greedy (lmms-eval, mathvision_test.yaml: temperature 0)",
)
