"""The claims of a paper, read from its file with the measures that it names."""

from __future__ import annotations

import functools
from pathlib import Path

import rlsd_cli.report.claims.measures  # noqa: F401  (registers them)
from rlsd_cli.config.layers import nearest, read_yaml, validated
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims.base import Claim, Margin
from rlsd_cli.report.claims.registry import (
    MEASURES,
    OF_ARMS,
    PAPER,
    Claims,
    ClaimsFile,
    Entry,
    MarginEntry,
    check_paper,
    claims_file,
)
from rlsd_cli.report.reported import difference_of


@functools.cache
def read_claims(path: Path) -> Claims:
    """Return the claims of a file.

    Raises:
        UserError: The file is missing or not of the described form, or names a measure or threshold that isn't there.
    """
    entries = validated(ClaimsFile, read_yaml(path), str(path))
    if entries.like is not None:
        other = validated(ClaimsFile, read_yaml(like := claims_file(check_paper(entries.like))), str(like))
        named = {name for entry in entries.claims.values() for name in entry.controls}
        lent = {key: entry for key, entry in other.controls.items() if key in named}
        entries = entries.model_copy(
            update={"thresholds": other.thresholds | entries.thresholds, "controls": lent | entries.controls}
        )
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


def paper_claims(paper: str = PAPER) -> Claims:
    """Return the claims of a paper, of the one whose results the suite referees if none is named.

    Raises:
        UserError: No file has claims of that paper.
    """
    return read_claims(claims_file(check_paper(paper)))


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
        entry.gates,
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
