"""MMMU (arXiv 2311.16502), validation split: 900 college questions of 30 subjects, most of them multiple-choice.

Layout (hub MMMU/MMMU, a configuration per subject; lmms-lab/MMMU, one for all): id, question, options
(a Python list as text), image_1 … image_7, answer, question_type ("multiple-choice" or "open"), explanation,
img_type, topic_difficulty, subfield. ``<image n>`` in question and options says where an image belongs.

Rules: eval/eval_utils.py of github MMMU-Benchmark/MMMU (51ce7f3), as kept in lmms-eval
(lmms_eval/tasks/mmmu/utils.py). Differences: where no option can be read, the official
code guesses at random, here the answer is wrong; a bare letter inside a sentence is read there, not here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rlsd_cli.evaluation.benchmarks.base import Benchmark, Question, accuracy_by, lettered, plain_accuracy
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.answers import stated_answer
from rlsd_cli.verifiers.choice import LETTERS, chosen_letter, gold_letter
from rlsd_cli.verifiers.reasoning import cut_reasoning
from rlsd_cli.verifiers.verdict import Verdict

MAX_IMAGES = 7
IMAGE_MARK = re.compile(r"<image (\d+)>")
DISCIPLINES = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        "Basic_Medical_Science",
        "Clinical_Medicine",
        "Diagnostics_and_Laboratory_Medicine",
        "Pharmacy",
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        "Agriculture",
        "Architecture_and_Engineering",
        "Computer_Science",
        "Electronics",
        "Energy_and_Power",
        "Materials",
        "Mechanical_Engineering",
    ),
}
DISCIPLINE_OF = {subject: name for name, subjects in DISCIPLINES.items() for subject in subjects}
KEY_WORDS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
NUMBERS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?")


def literal_list(value: Any) -> list[str]:
    """Return a list that the data set stores as text; a text that is no list is a list of one."""
    if isinstance(value, str):
        try:
            parsed = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed = value
        value = parsed if isinstance(parsed, list) else [value]
    return [str(each) for each in value]


def read(row: Mapping[str, Any]) -> Question:
    """Return a row as a question; images are those that the text names, or all where it names none."""
    multiple_choice = row["question_type"] == "multiple-choice"
    options = literal_list(row["options"]) if multiple_choice else []
    answer = str(row["answer"])
    text = row["question"] + ("\n" + lettered(options) if options else "")
    present = [n for n in range(1, MAX_IMAGES + 1) if row.get(f"image_{n}") is not None]
    named = [n for n in present if f"<image {n}>" in text] or present
    place = {n: position for position, n in enumerate(named, 1)}
    text = IMAGE_MARK.sub(lambda mark: f"<image {place[int(mark[1])]}>" if int(mark[1]) in place else "", text)
    subject = re.sub(r"^[a-z]+_|_\d+$", "", row["id"])
    return Question(
        id=row["id"],
        text=text,
        answer=answer,
        images=tuple(row[f"image_{n}"] for n in named),
        meta={
            "options": options,
            "letter": gold_letter(answer, options) if options else None,
            "multiple_choice": multiple_choice,
            "subject": subject,
            "discipline": DISCIPLINE_OF.get(subject, "other"),
            "question_type": row["question_type"],
        },
    )


def normalise(text: str) -> list[str | float]:
    """Return an open answer's forms: a number of two decimals, or text in small letters (a lone letter kept apart)."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]


def open_candidates(text: str) -> list[str | float]:
    """Return what an open answer may be: the ends of its key sentences and the numbers in them."""
    parts = re.split(r"\.\s(?=[A-Z])|\n", text.strip().strip("."))
    ends = []
    for position, part in enumerate(parts):
        words = (*KEY_WORDS, "=") if position == len(parts) - 1 else KEY_WORDS
        tails = [part.lower().split(word)[-1].strip() for word in words if word in part.lower()]
        if tails and min(tails, key=len) not in ("", *":,.!?;'"):
            ends.append(min(tails, key=len))
    ends = ends or [text.strip().strip(".").lower()]
    found = [*ends, *(number for end in ends for number in NUMBERS.findall(end))]
    return [form for each in found for form in normalise(each)]


def matches(candidates: Sequence[str | float], golds: Sequence[str | float]) -> bool:
    """Return whether a number is equal to a gold number, or a gold text stands in a candidate text."""
    return any(
        gold in each if isinstance(each, str) and isinstance(gold, str) else each == gold
        for each in candidates
        for gold in golds
    )


def judge(completion: str, example: Example) -> Verdict:
    """Judge a completion: an option by its letter or text, an open answer by the official matching."""
    if example.meta["question_type"] == "multiple-choice":
        options = example.meta["options"]
        letter = chosen_letter(completion, options)
        if letter is None:  # the official fallback: the last letter in brackets
            found = re.findall(rf"\(([{LETTERS[: len(options)]}])\)", cut_reasoning(completion))
            letter = found[-1] if found else ""
        right = bool(letter) and letter == example.meta["letter"]
        return Verdict(right, letter, f"{'the right' if right else 'another' if letter else 'no'} option")
    extracted = stated_answer(completion) or cut_reasoning(completion).strip()
    golds = [form for gold in literal_list(example.answer) for form in normalise(gold)]
    right = bool(extracted) and matches(open_candidates(extracted), golds)
    return Verdict(right, extracted, f"{'a match' if right else 'no match'} by the official rule of open answers")


def metrics(examples: Sequence[Example], correct: Sequence[bool]) -> dict[str, float]:
    """Return the accuracy over all questions (the official "Overall") and per discipline."""
    return {**plain_accuracy(examples, correct), **accuracy_by(examples, correct, "discipline")}


MMMU = Benchmark(
    name="mmmu",
    hub="MMMU/MMMU",
    split="validation",
    columns=("id", "question", "options", "image_1", "answer", "question_type"),
    instruction=(
        "Think step by step. End with a line 'Answer: X', where X is the letter of the right option, "
        "or a single word, phrase or number if there are no options."
    ),
    read=read,
    judge=judge,
    metrics=metrics,
    every_subset=True,
    protocol="one completion, greedy (mmmu/configs/llava1.5.yaml: temperature 0)",
)
