"""Where claims come from: a file per paper (experiments/claims/), measures by name, and modules of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rlsd_cli.arms.configure import presets_dir
from rlsd_cli.config.layers import Section, nearest, read_yaml, validated
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims.base import Claim, Margin, Measured
from rlsd_cli.report.claims.rules import RuleName
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.reported import difference_of

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
    options: dict[str, float | str] = Field(default_factory=dict)  # a text names a threshold, if there is such a one


class ClaimsFile(Section):
    """A file of claims: thresholds by name, claims and controls by key."""

    title: str
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


@functools.cache
def read_claims(path: Path) -> Claims:
    """Return the claims of a file.

    Raises:
        UserError: The file is missing or not of the described form, or names a measure or threshold that isn't there.
    """
    import rlsd_cli.report.claims.measures  # noqa: F401  (registers them)

    entries = validated(ClaimsFile, read_yaml(path), str(path))
    keys = [*entries.claims, *entries.controls]
    for key, entry in (*entries.claims.items(), *entries.controls.items()):
        for name in entry.controls:
            if name not in keys:
                raise UserError(f"{path}: the claim '{key}' names the control '{name}', which the file lacks.")
    return Claims(
        entries.title,
        entries.thresholds,
        tuple(_claim(key, entry, entries, path) for key, entry in entries.claims.items()),
        {key: _claim(key, entry, entries, path) for key, entry in entries.controls.items()},
    )


def paper_claims() -> Claims:
    """Return the claims of the paper whose results the suite referees."""
    return read_claims(claims_file(PAPER))


def claims_of_arm(name: str, title: str, keys: tuple[str, ...]) -> list[Claim]:
    """Return the claims that an arm brings, with its name put in; keys that no file has are none of ours."""
    if not keys:
        return []
    thresholds = paper_claims().thresholds
    entries = validated(ClaimsFile, read_yaml(claims_file(OF_ARMS)) | {"thresholds": thresholds}, OF_ARMS)
    found = []
    for key in keys:
        if key not in entries.claims:
            continue
        entry = entries.claims[key]
        filled = entry.model_copy(
            update={
                "statement": entry.statement.replace("{title}", title),
                "text": entry.text.replace("{title}", title),
                "arms": tuple(arm.replace("{arm}", name) for arm in entry.arms),
            }
        )
        found.append(_claim(f"{name}.{key}", filled, entries, claims_file(OF_ARMS)))
    return found


def _claim(key: str, entry: Entry, file: ClaimsFile, path: Path) -> Claim:
    if entry.measure not in MEASURES:
        raise UserError(
            f"{path}: the claim '{key}' asks for the measure '{entry.measure}', which there is not"
            f"{nearest(entry.measure, MEASURES)}; there are: {', '.join(sorted(MEASURES))}."
        )
    return Claim(
        key,
        entry.statement,
        entry.where,
        entry.text.strip(),
        entry.rule,
        _margin(key, entry.margin, file, path),
        entry.arms,
        MEASURES[entry.measure],
        entry.controls,
        {name: file.thresholds.get(str(value), value) for name, value in entry.options.items()},
    )


def _margin(key: str, entry: float | MarginEntry, file: ClaimsFile, path: Path) -> Margin:
    if isinstance(entry, float | int):
        return Margin(float(entry), f"{entry:g}")
    value, source = entry.value, entry.source
    if entry.threshold is not None:
        if entry.threshold not in file.thresholds:
            raise UserError(f"{path}: the claim '{key}' names the threshold '{entry.threshold}', which the file lacks.")
        value = file.thresholds[entry.threshold]
    if entry.paper is not None and entry.minus is not None:
        value = difference_of(entry.paper, *entry.minus)
        source = source or f"the paper's own difference ({' − '.join(entry.minus)}, {entry.paper})"
    if value is None:
        raise UserError(f"{path}: the margin of '{key}' needs a value, a threshold, or a table of the paper.")
    # Four digits keep the paper's own differences apart from their rounded forms.
    number = f"{round(value, 4):g}"
    words = entry.words.replace("{value}", number) or number + (f" of {entry.of}" if entry.of else "")
    return Margin(value, words, source)
