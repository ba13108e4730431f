"""We-Math (arXiv 2407.01284), split testmini: 1,740 multiple-choice questions that belong to 525 problems.

Layout (hub We-Math/We-Math, and data/testmini.json of github We-Math/We-Math a57a0e8): ID, split,
"knowledge concept", question, option ("A. 3;B. 4; …"), answer (a letter), image_path (an image on the hub, a
path in the JSON file), key, "question number", "knowledge concept description". A problem has two or three
one-step questions (keys 2steps_1, 2steps_2 or 3steps_1 … 3steps_3) and one that needs all steps (2steps_multi,
3steps_multi), all with the same ID.

Rules: evaluation/four_dimensional_metrics.py of that repository. Of a problem,

    insufficient knowledge      a step wrong, the whole wrong
    inadequate generalisation   all steps right, the whole wrong (half a point)
    complete mastery            strict: all steps right, the whole right; loose: a step right, the whole right
    rote memorisation           strict: a step wrong, the whole right; loose: all steps wrong, the whole right

and the score is (mastery + ½ generalisation) / problems. The official code divides by 525; here by the
problems that are complete, which is the same for the whole split.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlsd_cli.evaluation.benchmarks.base import Benchmark, Question, mean, plain_accuracy
from rlsd_cli.tasks.base import Example
from rlsd_cli.verifiers.choice import gold_letter, judge_letter
from rlsd_cli.verifiers.verdict import Verdict

if TYPE_CHECKING:
    from datasets import Dataset

OPTION = re.compile(r"(?:^|;|\s)\s*([A-H])\.\s*")
WHOLE = "multi"


def split_options(text: str) -> list[str]:
    """Return the texts of "A. 3;B. 4; …" in the order of their letters.

    >>> split_options("A. 300, 400;B. 400, 300; C. No correct answer")
    ['300, 400', '400, 300', 'No correct answer']
    """
    return [part.strip().rstrip(";").strip() for part in OPTION.split(text)[2::2]]


def read(row: Mapping[str, Any]) -> Question:
    """Return a row as a question."""
    steps, _, part = row["key"].partition("steps_")
    options, answer = split_options(row["option"]), str(row["answer"])
    return Question(
        id=f"{row['ID']}-{part}",
        text=f"{row['question']}\n{row['option']}",
        answer=answer,
        images=(row["image_path"],),
        meta={
            "options": options,
            "letter": gold_letter(answer, options),
            "multiple_choice": True,
            "problem": row["ID"],
            "steps": int(steps),
            "part": part,
        },
    )


def judge(completion: str, example: Example) -> Verdict:
    """Judge a completion by its option."""
    return judge_letter(completion, example.meta["letter"], example.meta["options"])


def by_problem(rows: Dataset) -> list[int]:
    """Return the rows' numbers with the questions of a problem together, so that a limit keeps whole problems."""
    first: dict[str, int] = {}
    names = list(rows["ID"])
    for index, name in enumerate(names):
        first.setdefault(name, index)
    return sorted(range(len(names)), key=lambda index: (first[names[index]], index))


def verdict_of(steps: Sequence[bool], whole: bool) -> tuple[str, str]:
    """Return a problem's kind by the strict and by the loose rule: IK, IG, CM or RM."""
    if not whole:
        kind = "IG" if all(steps) else "IK"
        return kind, kind
    return "CM" if all(steps) else "RM", "CM" if any(steps) else "RM"


def metrics(examples: Sequence[Example], correct: Sequence[bool]) -> dict[str, float]:
    """Return the accuracy, and over complete problems the strict and loose score with the shares behind it.

    Shares are of all complete problems; that of rote memorisation (RM) is of those whose whole is right,
    as the official code has it. Without any complete problem only the accuracy is given.
    """
    problems: dict[str, dict[str, bool]] = defaultdict(dict)
    steps_of: dict[str, int] = {}
    for example, right in zip(examples, correct, strict=True):
        problems[example.meta["problem"]][example.meta["part"]] = right
        steps_of[example.meta["problem"]] = example.meta["steps"]
    complete = {name: parts for name, parts in problems.items() if len(parts) == steps_of[name] + 1}
    found = plain_accuracy(examples, correct)
    if not complete:
        return found
    kinds = [
        verdict_of([right for part, right in parts.items() if part != WHOLE], parts[WHOLE])
        for parts in complete.values()
    ]
    total = len(kinds)
    found |= {"problems": float(total)}
    for rule, column in (("strict", 0), ("loose", 1)):
        count = Counter(kind[column] for kind in kinds)
        found[f"score_{rule}"] = (count["CM"] + 0.5 * count["IG"]) / total
        found |= {f"{kind}_{rule}": count[kind] / total for kind in ("IK", "IG", "CM")}
        found[f"RM_{rule}"] = count["RM"] / max(1, count["CM"] + count["RM"])
    for steps in (2, 3):
        wholes = [parts[WHOLE] for name, parts in complete.items() if steps_of[name] == steps]
        if wholes:
            found[f"accuracy/{steps} steps"] = mean(wholes)
    return found


WEMATH = Benchmark(
    name="wemath",
    hub="We-Math/We-Math",
    split="testmini",
    columns=("ID", "question", "option", "answer", "image_path", "key"),
    instruction=(
        "Describe your thoughts briefly and choose the option. Keep to this form:\n"
        "<Thought process>: your thoughts\n<Answer>: the letter of your option"
    ),
    read=read,
    judge=judge,
    metrics=metrics,
    order=by_problem,
    unit=lambda example: str(example.meta["problem"]),
)
