"""Where claims come from: a file per paper (experiments/claims/), measures by name, and modules of one's own."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rlsd_cli.arms.configure import presets_dir
from rlsd_cli.config.layers import Section, read_yaml, validated
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims.base import Claim, Margin, Measured
from rlsd_cli.report.claims.rules import RuleName
from rlsd_cli.report.comparison import Comparison

PAPER = "2604.03128"
OF_ARMS = "of-arms"  # claims that an arm's record may name; {arm} stands for it
MEASURES: dict[str, Callable[[Comparison, Claim], Measured]] = {}
Measure = Callable[[Comparison, Claim], Measured]
ADDED: dict[str, Claim] = {}  # by modules of one's own


class MarginEntry(Section):
    """A margin: a number (``value``), one of the file's thresholds, or a difference that the paper reports.

    ``of`` names what it is a share of; ``words`` stand for it in the rule, {value} in them for the number.
    """

    value: float | None = None
    threshold: str | None = None
    paper: str | None = None
    minus: tuple[str, str] | None = None
    of: str = ""
    words: str = ""
    source: str = ""


class Entry(Section):
    """A claim as the file writes it."""

    statement: Annotated[str, Field(min_length=1)]
    where: str = ""
    measure: str
    rule: RuleName
    margin: float | MarginEntry
    arms: tuple[str, ...] = ()
    text: Annotated[str, Field(min_length=1)]
    controls: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()  # claims of the refereed paper: a gate that bars one of them bars this one, too
    options: dict[str, float | str] = Field(default_factory=dict)  # a text names a threshold, if there is such a one


class ClaimsFile(Section):
    """A file of claims: thresholds by name, claims and controls by key.

    ``like`` names a paper whose thresholds and controls can be named, too.
    """

    title: str
    like: str | None = None
    thresholds: dict[str, float] = Field(default_factory=dict)
    claims: dict[str, Entry]
    controls: dict[str, Entry] = Field(default_factory=dict)


@dataclass(frozen=True)
class Claims:
    """The claims of a paper."""

    title: str
    thresholds: dict[str, float]
    claims: tuple[Claim, ...]
    controls: dict[str, Claim]


def measure(function: Measure) -> Measure:
    """Give a measure to the files of claims, by its function's name."""
    MEASURES[function.__name__] = function
    return function


def claim(key: str, statement: str, *, place: str, text: str, rule: RuleName, margin: float, **more: Any) -> Any:
    """Return a decorator that makes a claim of a measure, for modules of one's own; see docs/adding-a-figure.md.

    Args:
        key: Its name.
        statement: What is claimed.
        place: Where.
        text: What is measured.
        rule: See `rlsd_cli.report.claims.rules`.
        margin: The smallest effect that counts.
        more: Further fields of `Claim`.
    """

    def add(function: Measure) -> Measure:
        ADDED[key] = Claim(
            key, statement, place, text, rule, Margin(margin, f"{margin:g}"), more.pop("arms", ()), function, **more
        )
        return function

    return add


def claims_file(name: str) -> Path:
    """Return the file of a paper's claims that comes with the suite."""
    return presets_dir() / "claims" / f"{name}.yaml"


def known_papers() -> list[str]:
    """Return the arXiv numbers of the papers whose claims come with the suite, the refereed one first."""
    found = sorted(path.stem for path in claims_file(PAPER).parent.glob("*.yaml") if path.stem != OF_ARMS)
    return sorted(found, key=lambda name: name != PAPER)


def check_paper(name: str) -> str:
    """Return the number of a paper that has a file of claims, ``arXiv:`` before it and ``v2`` behind it dropped.

    Raises:
        UserError: There is none.
    """
    number = re.sub(r"^arxiv[:\s]*|v\d+$", "", name.strip(), flags=re.IGNORECASE)
    if number not in known_papers():
        raise UserError(f"there are no claims of a paper '{name[:100]}'; there are: {', '.join(known_papers())}.")
    return number


@functools.cache
def thresholds() -> dict[str, float]:
    """Return the thresholds of the paper whose results the suite referees.

    Raises:
        UserError: Its file is missing or not of the described form.
    """
    path = claims_file(PAPER)
    return validated(ClaimsFile, read_yaml(path), str(path)).thresholds
