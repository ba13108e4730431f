"""What others have published about the arms (experiments/literature.yaml): read, checked, never pooled with ours."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from rlsd_cli.arms.configure import presets_dir
from rlsd_cli.config.layers import Section, read_yaml, validated
from rlsd_cli.report.table import Cell, Table

Domain = Literal["vision", "mathematics", "logic", "agents"]


class Source(Section):
    """Where numbers stand, and whether we saw the place itself or a reader's notes of it."""

    title: str
    arxiv: str | None
    where: str
    read: Literal["primary", "note"]


class Contrast(Section):
    """An arm's accuracy beside GRPO's in the same table, in percent.

    ``rival`` says that the authors propose a competitor of the arm; ``seeds`` is None where none are named.
    """

    source: str
    arm: str
    model: str
    domain: Domain
    data: str
    metric: str
    grpo: float
    value: float
    seeds: int | None
    rival: bool
    note: str = ""

    @property
    def difference(self) -> float:
        """Arm minus GRPO in percentage points."""
        return self.value - self.grpo


class Literature(Section):
    """The file: sources and notes by key, contrasts in order."""

    sources: dict[str, Source]
    notes: dict[str, str]
    contrasts: list[Contrast]

    @model_validator(mode="after")
    def check_keys(self) -> Literature:
        """Every contrast names a source and, if any, a note that the file has."""
        for contrast in self.contrasts:
            if contrast.source not in self.sources:
                raise ValueError(f"a contrast names the source '{contrast.source}', which is not under sources")
            if contrast.note and contrast.note not in self.notes:
                raise ValueError(f"a contrast names the note '{contrast.note}', which is not under notes")
        return self

    def of_arm(self, arm: str) -> list[Contrast]:
        """Return an arm's contrasts, the domains together."""
        order: dict[str, int] = {}
        for contrast in self.contrasts:
            order.setdefault(contrast.domain, len(order))
        return sorted((each for each in self.contrasts if each.arm == arm), key=lambda each: order[each.domain])

    @property
    def arms(self) -> list[str]:
        """The arms that have contrasts, in the order of the file."""
        return list(dict.fromkeys(contrast.arm for contrast in self.contrasts))


def literature_file() -> Path:
    """Return the file that comes with the suite."""
    return presets_dir() / "literature.yaml"


@functools.cache
def read_literature(path: Path) -> Literature:
    """Return the published contrasts.

    Raises:
        UserError: The file is missing or not of the described form.
    """
    return validated(Literature, read_yaml(path), str(path))


def counts(contrasts: list[Contrast]) -> str:
    """Say in how many contrasts of each domain the arm lies above GRPO: ``mathematics 0 of 9``."""
    domains = list(dict.fromkeys(each.domain for each in contrasts))
    told = []
    for domain in domains:
        here = [each.difference for each in contrasts if each.domain == domain]
        told.append(f"{domain} {sum(difference > 0 for difference in here)} of {len(here)}")
    return ", ".join(told)


def literature_table(path: Path | None = None) -> Table:
    """Return all contrasts as a table, with their sources and traps."""
    found = read_literature(path or literature_file())
    columns = ["against GRPO (points)", "arm", "GRPO", "metric", "seeds", "by a rival", "source"]
    rows = []
    for arm in found.arms:
        for each in found.of_arm(arm):
            source = found.sources[each.source]
            where = f"{source.title}, {source.where}" + (f"; {found.notes[each.note]}" if each.note else "")
            rows.append(
                (
                    f"{arm}, {each.model}, {each.data}",
                    [
                        Cell(value=each.difference, digits=1),
                        Cell(value=each.value, digits=1),
                        Cell(value=each.grpo, digits=1),
                        Cell(each.metric),
                        Cell("not said" if each.seeds is None else str(each.seeds)),
                        Cell("yes" if each.rival else "no"),
                        Cell(where),
                    ],
                )
            )
    above = "; ".join(
        f"{arm} above GRPO by others' runs: {counts([each for each in found.of_arm(arm) if each.source != 'rlsd'])}"
        for arm in found.arms
    )
    caption = (
        "Published, not ours: accuracy of an arm minus GRPO's in the same table. None has a standard error, so nothing "
        f"is pooled. {above}."
    )
    return Table("literature", caption, columns, rows, corner="Arm, model, data")
