r"""ZeroBench (arXiv 2502.09696): 100 questions that were made to be out of reach, and 334 sub-questions.

Layout (hub jonathan-roberts1/zerobench, gated): splits zerobench and zerobench_subquestions; question_id,
question_text, question_images (paths), question_images_decoded, question_answer, image_attribution.

Rules: exact match. As in lmms-eval (lmms_eval/tasks/zerobench/utils.py): without case, quotes and a last
full stop; decimal numbers by value. VLMEvalKit accepts a gold that is contained in the answer, and others
ask a judge: both are laxer. The prompt is the authors': the answer in curly braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rlsd_cli.evaluation.benchmarks.base import Benchmark, Question
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.answers import stated_answer
from rlsd_cli.verifiers.reasoning import cut_reasoning
from rlsd_cli.verifiers.verdict import Verdict

BRACES = re.compile(r"\{([^{}]+)\}")
DECIMAL = re.compile(r"-?(?:\d+\.\d+|\d+|\.\d+)")


def read(row: Mapping[str, Any]) -> Question:
    """Return a row as a question; a sub-question's id tells its question's."""
    return Question(
        id=str(row["question_id"]),
        text=row["question_text"].strip(),
        answer=str(row["question_answer"]).strip(),
        images=tuple(row["question_images_decoded"] or ()),
        meta={},
    )


def canonical(text: str) -> str | Decimal:
    """Return an answer as it is compared: a decimal number, or text without case, quotes and a last full stop."""
    text = re.sub(r"\s+", " ", text.strip().lower().strip("\"'`")).removesuffix(".").rstrip()
    number = text.replace(",", "")
    return Decimal(number) if DECIMAL.fullmatch(number) else text


def judge(completion: str, example: Example) -> Verdict:
    """Judge a completion by exact match of its stated answer, else of its last curly braces."""
    extracted = stated_answer(completion)
    wrapped = BRACES.findall(extracted or cut_reasoning(completion))
    if wrapped and (not extracted or extracted.startswith("{")):
        extracted = wrapped[-1].strip()
    right = bool(extracted) and canonical(extracted) == canonical(example.answer)
    return Verdict(right, extracted, "an exact match" if right else "no exact match")


ZEROBENCH = Benchmark(
    name="zerobench",
    hub="jonathan-roberts1/zerobench",
    split="zerobench",
    columns=("question_id", "question_text", "question_images_decoded", "question_answer"),
    instruction="Let's think step by step and give the final answer in curly braces, like this: {final answer}",
    read=read,
    judge=judge,
    sampling={"samples": 5, "temperature": 0.7, "top_p": 0.95, "max_new_tokens": 16_000},
    protocol="five completions at temperature 0.7 and top-p 0.95 (inspect_evals, zerobench), and one greedy",
)
