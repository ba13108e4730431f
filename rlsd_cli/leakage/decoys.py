"""Decoys: wrong, well-formed references that the teacher alone sees, for a share of the prompts chosen by hash.

A model that learned to solve says the right answer; one that took over what its
teacher saw says the decoy. Everything here is a pure function of the seed, the
question and the answers of its suite, so that the audit draws again what training drew.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b
from typing import Any

from rlsd_cli.config.run import RunConfig
from rlsd_cli.tasks.base import Example, ReferenceKind, Task
from rlsd_cli.tasks.messages import as_text

UNSEEN = 31  # decoys drawn alike that nobody ever saw
POOL = 256  # questions of a run whose answers decoys are drawn from
ENOUGH = 8  # answers of the suite's own from which on no numbers are made up: those may be none that it can have
TRIES = 64  # draws in a row without a new number before there are no more
_INTEGER = re.compile(r"-?\d{1,3}(?:,\d{3})+|-?\d+")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_FRACTION = re.compile(r"-?\d+/\d+|-?\\[dt]?frac\{\d+\}\{\d+\}")
_LETTER = re.compile(r"\(?([A-Z])\)?")
_OPTION = re.compile(r"(?:^|[\s(])\(?([A-Z])[).:]\s")


@dataclass(frozen=True)
class Decoys:
    """The decoy that a teacher sees, and others drawn alike that nobody sees; all differ from the gold answer."""

    seen: str
    unseen: tuple[str, ...]


def hashed(*parts: object) -> int:
    """Return a 64-bit number that depends on the parts and on nothing else."""
    key = "\0".join(map(str, parts))
    return int.from_bytes(blake2b(key.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def flagged(seed: int, prompt_id: str, share: float) -> bool:
    """Tell whether a question gets a decoy: of many questions, a share of ``share``; the same for every arm.

    >>> flagged(0, "train-0-1", 0.0), flagged(0, "train-0-1", 1.0)
    (False, True)
    """
    return hashed("decoy", seed, prompt_id) < share * 2**64


def draw(
    seed: int, prompt_id: str, gold: str, pool: Sequence[str], prompt: str = "", unseen: int = UNSEEN
) -> Decoys | None:
    """Return the decoys of a question; None where no wrong answer of its form can be made.

    The seen one and the others come from the same draw without replacement and in
    random order, so without training all are exchangeable: that is the null.

    Args:
        seed: The run's.
        prompt_id: The question's.
        gold: Its right answer.
        pool: Right answers of other questions of the same suite.
        prompt: Its text: of a multiple choice, the options.
        unseen: How many others; fewer where there are no more.
    """
    rng = random.Random(hashed("decoys", seed, prompt_id))
    found = choices(gold, prompt) or alike(gold, pool)
    misses = 0 if len(found) < ENOUGH else TRIES
    while is_number(gold) and len(found) <= unseen and misses < TRIES:
        made = perturbed(gold, rng)
        if made == gold or made in found or value(made) == value(gold):
            misses += 1
        else:
            misses = 0
            found.append(made)
    rng.shuffle(found)
    found = [text for text in found if text != gold][: unseen + 1]
    return Decoys(found[0], tuple(found[1:])) if len(found) > 1 else None


def choices(gold: str, prompt: str) -> list[str]:
    """Return the other options of a multiple choice, in the form of the gold letter; [] where it is none."""
    letter = _LETTER.fullmatch(gold.strip())
    if not letter:
        return []
    letters = sorted(set(_OPTION.findall(prompt)) | {letter.group(1)})
    if len(letters) < 3:
        return []
    return [gold.replace(letter.group(1), other) for other in letters if other != letter.group(1)]


def form(answer: str) -> str:
    """Return the kind of an answer: what a decoy must share with it to be well-formed."""
    text = answer.strip()
    for name, pattern in (("integer", _INTEGER), ("decimal", _DECIMAL), ("fraction", _FRACTION), ("letter", _LETTER)):
        if pattern.fullmatch(text):
            return name
    return "text"


def is_number(answer: str) -> bool:
    """Tell whether an answer is a plain number."""
    return form(answer) in ("integer", "decimal", "fraction")


def value(answer: str) -> Fraction | None:
    """Return the value of a plain number; None of anything else."""
    if not is_number(answer):
        return None
    text = re.sub(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}", r"\1/\2", answer.strip().replace(",", ""))
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def alike(gold: str, pool: Sequence[str]) -> list[str]:
    """Return the different answers of a pool that have the form of the gold answer and are not equal to it."""
    kind, right = form(gold), value(gold)
    found = []
    for text in dict.fromkeys(pool):
        if form(text) != kind or text.strip() == gold.strip():
            continue
        if right is not None and value(text) in (right, None):
            continue
        if kind == "text" and text.strip().casefold() == gold.strip().casefold():
            continue
        found.append(text)
    return found


def perturbed(gold: str, rng: random.Random) -> str:
    """Return another number of the same form: as many digits, the same sign, the same number of decimals.

    >>> len(perturbed("472", random.Random(1)))
    3
    """

    def digits(match: re.Match[str]) -> str:
        text = match.group()
        low = 10 ** (len(text) - 1) if len(text) > 1 else 0
        return str(rng.randrange(low, 10 ** len(text)))

    kind = form(gold)
    if kind == "integer":
        plain = gold.replace(",", "")
        made = re.sub(r"\d+", digits, plain)
        return f"{int(made):,}" if "," in gold else made
    if kind == "decimal":
        whole, decimals = gold.split(".")
        return f"{re.sub(r'[0-9]+', digits, whole)}.{rng.randrange(10 ** len(decimals)):0{len(decimals)}d}"
    return re.sub(r"\d+", lambda match: str(max(1, int(digits(match)))), gold)


def with_answer(text: str, gold: str, decoy: str) -> str:
    """Return a reference text with the decoy where it says the gold answer; the decoy alone where it never does.

    >>> with_answer("7 + 9 = 5 ; 5 * 3 = 4 ; answer 4", "4", "8")
    '7 + 9 = 5 ; 5 * 3 = 8 ; answer 8'
    """
    pattern = re.compile(rf"(?<![\w.,/-]){re.escape(gold.strip())}(?![\w/]|[.,]\d)")
    places = list(pattern.finditer(text))
    if not gold.strip() or not places:
        return decoy
    # From the first time that it is a result (or the last time, where it never follows a sign of equality) to the end.
    results = [match.start() for match in places if re.search(r"[=≈:]\s*\$?$", text[: match.start()])]
    start = results[0] if results else places[-1].start()
    return text[:start] + pattern.sub(lambda _: decoy, text[start:])


def wrong_reference(example: Example, kind: ReferenceKind, decoy: str) -> str:
    """Return the reference of a kind with the decoy in it; '' where the question has no such reference."""
    row = {"answer": example.answer, "decoy": decoy, kind: example.reference(kind)}
    return shown(row, kind)


def answer_pool(task: Task, seed: int, count: int) -> list[str]:
    """Return right answers of a run's first questions: what decoys are drawn from, in training and in the audit."""
    return [task.train_example(seed, index).answer for index in range(min(count, POOL))]


def decoys_of(seed: int, example: Example, pool: list[str], unseen: int = UNSEEN) -> Decoys | None:
    """Return the decoys of a question of a run."""
    return draw(seed, example.id, example.answer, pool, as_text(example.prompt), unseen)


def decoy_of(seed: int, share: float, example: Example, pool: list[str]) -> str:
    """Return the decoy that the teacher sees of a question of a run; '' where it sees the truth."""
    decoys = decoys_of(seed, example, pool) if flagged(seed, example.id, share) else None
    return decoys.seen if decoys else ""


def shown(row: dict[str, Any], kind: ReferenceKind) -> str:
    """Return the privileged text of a kind that the teacher sees of a training row: wrong where it has a decoy."""
    truth: str = row[kind]
    if not row.get("decoy") or not truth:
        return truth
    return row["decoy"] if kind == "answer" else with_answer(truth, row["answer"], row["decoy"])


def flagged_examples(config: RunConfig, task: Task, limit: int) -> list[tuple[Example, Decoys]]:
    """Return the questions of a run that had a decoy, in the order of training, with their decoys."""
    share = config.leakage.decoy_share
    count = config.train.steps * config.train.prompts_per_step
    pool = answer_pool(task, config.seed, count)
    found: list[tuple[Example, Decoys]] = []
    seen: set[str] = set()
    for index in range(count):
        example = task.train_example(config.seed, index)
        if example.id in seen or not flagged(config.seed, example.id, share):
            continue
        seen.add(example.id)
        if decoys := decoys_of(config.seed, example, pool):
            found.append((example, decoys))
            if len(found) == limit:
                break
    return found
