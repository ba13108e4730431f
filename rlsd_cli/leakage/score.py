"""Precision and recall of the rules on labelled passages (JSON lines; the project's own are in tests/leakage/labelled).

A passage has the fields ``completion``, ``leak`` (bool), and may have ``prompt``,
``answer``, ``style``, ``language``, ``rule`` (the family of a leak) and ``task``: what is
asked of it, 'mention' (the default), 'early' (answer before derivation) or, told by a
``kind`` of 'indirect' or 'early', one of the rules that stand apart from the rate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.detect import examine
from rlsd_cli.leakage.early import EARLY_RULE, FIRST_RULE, answer_first, early_answer
from rlsd_cli.leakage.rules import RuleSet
from rlsd_cli.statistics import Interval, wilson_interval

MENTIONS = "all mentions"
# Kinds of the independent passages that are about the rules apart from the rate: leaks, and negatives made to mislead.
APART = {"indirect": "indirect_target", "target_ok": "indirect_target", "early": FIRST_RULE, "early_ok": FIRST_RULE}


@dataclass(frozen=True)
class Score:
    """Precision and recall over a group of passages, with 95 % Wilson intervals."""

    name: str
    passages: int
    right: int  # leaks that were found
    found: int  # passages with a hit
    leaks: int  # passages labelled as leaks

    @property
    def precision(self) -> Interval:
        """Share of the passages with a hit that are leaks; `n` is 0 where nothing was found."""
        return share(self.right, self.found)

    @property
    def recall(self) -> Interval:
        """Share of the leaks that were found."""
        return share(self.right, self.leaks)


def share(part: int, whole: int) -> Interval:
    """Return part/whole with its Wilson interval, NaN where ``whole`` is 0."""
    return wilson_interval(part, whole) if whole else Interval(float("nan"), float("nan"), float("nan"), 0)


def read_passages(path: Path) -> list[dict[str, Any]]:
    """Read labelled passages from a JSON-lines file.

    Raises:
        UserError: There is no such file, or a line is no labelled passage.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: give a file of labelled passages, such as tests/leakage/labelled/*.")
    passages = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            passage = json.loads(line)
            passages.append(passage | {"leak": bool(passage["leak"]), "completion": str(passage["completion"])})
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}, line {number}: not a JSON object with `completion` and `leak`.") from None
    if not passages:
        raise UserError(f"{path} is empty: give a file of labelled passages.")
    return passages


def rules_found(passage: dict[str, Any], rules: RuleSet | None = None) -> set[str]:
    """Return the rules that count a hit in the passage, of the kind that its task asks about."""
    text, prompt, answer = passage["completion"], passage.get("prompt") or "", passage.get("answer") or ""
    task = task_of(passage)
    if task == "early":
        return {EARLY_RULE} if early_answer(text, answer, prompt) else set()
    if task == FIRST_RULE:
        stated = answer_first(text, answer, prompt) or early_answer(text, answer, prompt)
        return {FIRST_RULE} if answer and stated else set()
    found = [finding for finding in examine(text, prompt, rules) if not finding.dismissed]
    return {finding.hit.rule for finding in found if finding.apart == (task == "indirect_target")}


def task_of(passage: dict[str, Any]) -> str:
    """Return what is asked of a passage: 'mention', 'early', or the name of a rule apart from the rate."""
    return str(passage.get("task") or APART.get(passage.get("kind", ""), "mention"))


def score(name: str, judged: Iterable[tuple[bool, bool]]) -> Score:
    """Count (labelled as leak, found) pairs."""
    pairs = list(judged)
    return Score(
        name=name,
        passages=len(pairs),
        right=sum(leak and found for leak, found in pairs),
        found=sum(found for _, found in pairs),
        leaks=sum(leak for leak, _ in pairs),
    )


def score_rules(passages: list[dict[str, Any]], rules: RuleSet | None = None) -> list[Score]:
    """Score the rules on labelled passages.

    Returns:
        First all mentions together, then each style, then each family of mentions,
        then answer-before-derivation. A family's recall counts its leaks that any
        rule found; its precision the passages where that family's rule had a hit.
    """
    judged = [(passage, rules_found(passage, rules)) for passage in passages]
    mentions = [(p, found) for p, found in judged if task_of(p) == "mention"]
    early = [(p, found) for p, found in judged if task_of(p) == "early"]
    scores = [score(MENTIONS, ((p["leak"], bool(found)) for p, found in mentions))]
    languages = dict.fromkeys(p["language"] for p, _ in mentions if p.get("language"))
    for language in languages:
        of_language = ((p["leak"], bool(f)) for p, f in mentions if p["language"] == language)
        scores.append(score(f"language {language}", of_language))
    for style in dict.fromkeys(p.get("style", "") for p, _ in mentions):
        scores.append(score(f"style {style}", ((p["leak"], bool(f)) for p, f in mentions if p.get("style") == style)))
    for rule in sorted({rule for p, found in mentions for rule in {p.get("rule"), *found} if rule}):
        of_rule = [(p, found) for p, found in mentions if p.get("rule") == rule or rule in found]
        scores.append(
            Score(
                name=rule,
                passages=len(of_rule),
                right=sum(p["leak"] and bool(found) for p, found in of_rule),
                found=sum(bool(found) for _, found in of_rule),
                leaks=sum(p["leak"] for p, _ in of_rule),
            )
        )
    if early:
        scores.append(score(EARLY_RULE, ((p["leak"], bool(found)) for p, found in early)))
    for rule in dict.fromkeys(APART.values()):
        asked = [(p["leak"], bool(found)) for p, found in judged if task_of(p) == rule]
        if asked:
            scores.append(score(rule, asked))
    return scores
