"""Calibration on the user's own text: a floor by a control, a ceiling by the same model open-book."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import Options, audit
from rlsd_cli.leakage.contrast import contrast
from rlsd_cli.leakage.detect import examine
from rlsd_cli.leakage.inputs import Completion, Source
from rlsd_cli.leakage.rules import RuleSet

CLOSED = 500  # closed-book completions that open-book ones are compared with, at most


def control(source: Source, options: Options) -> dict[str, Any]:
    """Return the floor: the rate of the same rules on text that cannot leak (a base model, a GRPO run)."""
    with TemporaryDirectory() as directory:
        report = audit(source, Path(directory), Options(shown=0, rules=options.rules, include=options.include))
    return {"name": source.name, **{key: report[key] for key in ("n", "hits", "rate", "interval")}}


def positive_control(
    opened: Iterable[Completion], closed: Iterable[Completion], rules: RuleSet, nouns: list[str]
) -> dict[str, Any]:
    """Return the ceiling: of what a model says open-book, the share that the rules find, and phrases that none matches.

    Args:
        opened: Open-book completions; their prompts excuse what they excuse.
        closed: Completions of the audited text.
        rules: The rules.
        nouns: What the teacher's prompt calls the reference.
    """
    from rlsd_cli.statistics import wilson_interval

    seen = list(opened)
    if not seen:
        raise UserError("the positive control holds no completions.")
    hits, rest = 0, []
    for completion in seen:
        found = [finding for finding in examine(completion.text, completion.prompt, rules) if not finding.apart]
        hits += any(not finding.dismissed for finding in found)
        rest.append(without(completion.text, [(finding.hit.start, finding.hit.end) for finding in found]))
    interval = wilson_interval(hits, len(seen))
    phrases = contrast(rest, [completion.text for completion in closed], nouns)
    return {
        "n": len(seen),
        "hits": hits,
        "rate": interval.mean,
        "interval": [interval.low, interval.high],
        "nouns": nouns,
        "unmatched": [asdict(phrase) for phrase in phrases],
    }


def without(text: str, spans: list[tuple[int, int]]) -> str:
    """Return a text without some spans, each replaced by a sign that no phrase crosses."""
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]} | {text[end:]}"
    return text


def first_completions(source: Source, count: int = CLOSED) -> list[Completion]:
    """Return the first completions of a source."""
    found: list[Completion] = []
    for item in source.read():
        if isinstance(item, Completion):
            found.append(item)
            if len(found) == count:
                break
    return found
