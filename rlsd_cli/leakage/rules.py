"""The phrase rules: loading and compiling rules.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

# Clean text has runs of spaces where markup stood; a bound keeps every match short.
_SPACE, _MAYBE_SPACE = "[ ]{1,24}", "[ ]{0,24}"
_NAME = re.compile(r"<([a-z_]+)>")
_SPACE_OR_CLASS = re.compile(r"\[(?:\\.|[^\]\\])*\]| \?| ")


@dataclass(frozen=True)
class Near:
    """A pattern and its anchors: plain strings, near one of which a match begins."""

    anchors: tuple[str, ...]
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Rule:
    """One family of phrases.

    ``ordinary`` vetoes a hit in whose sentence it matches, ``introduced`` one that
    follows within a few lines, ``explained`` one whose prompt it matches.
    """

    name: str
    about: str
    weight: int
    near: tuple[Near, ...]
    ordinary: re.Pattern[str] | None
    introduced: re.Pattern[str] | None
    explained: re.Pattern[str]


@dataclass(frozen=True)
class RuleSet:
    """All rules, with the negations that hold for each of them.

    ``measured`` is how they did on passages that were held apart
    (docs/leakage-audit.md); reports carry it along.
    """

    version: int
    measured: dict[str, Any]
    rules: tuple[Rule, ...]
    negated_before: re.Pattern[str]
    negated_after: re.Pattern[str]


def compile_pattern(source: str, words: dict[str, str]) -> re.Pattern[str]:
    """Compile a pattern of rules.yaml.

    ``<name>`` stands for an entry of ``words``, a space for a run of spaces, and
    a space with a question mark for a run that may be empty.
    """
    while _NAME.search(source):
        source = _NAME.sub(lambda match: f"(?:{words[match.group(1)]})", source)
    spaces = {" ?": _MAYBE_SPACE, " ": _SPACE}
    return re.compile(_SPACE_OR_CLASS.sub(lambda match: spaces.get(match.group(), match.group()), source))


def _any_of(sources: list[str], words: dict[str, str]) -> re.Pattern[str]:
    return compile_pattern("|".join(f"(?:{source})" for source in sources), words)


@cache
def load_rules() -> RuleSet:
    """Load the rules that ship with the package (once per process)."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data: dict[str, Any] = yaml.load(files(__package__).joinpath("rules.yaml").read_text("utf-8"), loader)
    words = {name: value.replace("\n", "") for name, value in data["words"].items()}
    rules = tuple(
        Rule(
            name=name,
            about=entry["about"],
            weight=entry["weight"],
            near=tuple(Near(tuple(near["anchors"]), _any_of(near["patterns"], words)) for near in entry["near"]),
            ordinary=_any_of(entry["ordinary"], words) if "ordinary" in entry else None,
            introduced=_any_of(entry["introduced"], words) if "introduced" in entry else None,
            explained=_any_of(entry["explained"], words),
        )
        for name, entry in data["rules"].items()
    )
    negation = data["negation"]
    return RuleSet(
        data["version"], data["measured"], rules, _any_of(negation["before"], words), _any_of(negation["after"], words)
    )
