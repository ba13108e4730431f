"""Gates of a base, as `rlsd testbed gates` and `rlsd probe` measure them: what can't be judged on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from rlsd_cli.config.layers import Section, validated
from rlsd_cli.runs.directory import read_object

if TYPE_CHECKING:
    from rlsd_cli.report.comparison import Comparison


CITES = "open_book_cites"


class Gate(Section):
    """One gate of a file ``gates/BASE.json``.

    Attributes:
        name: What is asked.
        value: As measured; ``interval`` its 95 % ends, where there are some.
        threshold: What it had to reach, or to stay under.
        passed: Whether it did.
        claims: Keys of the claims that can't be judged where it did not.
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    threshold: float
    passed: bool
    claims: list[str] = Field(default_factory=list)

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The ends of its interval, None where there is none."""
        return self.interval or (None, None)

    @property
    def sentence(self) -> str:
        """Say what failed."""
        value = "nothing" if self.value is None else f"{self.value:.3g}"
        return f"this base fails the gate '{self.name}': {value}, asked {self.threshold:g}"


class GatesFile(Section):
    """The file of a base: its gates, and numbers of it that figures show, by name."""

    gates: list[Gate]
    measured: dict[str, float] = Field(default_factory=dict)


def gates_file(folder: Path, base: str) -> Path:
    """Return where the gates of a base are kept; a path of a model's folder counts by its last name."""
    return folder / f"{base.rstrip('/').rpartition('/')[2]}.json"


def bases(comparison: Comparison) -> list[str]:
    """Return the models that the runs start from."""
    found = (variant.option("model.path") for variant in comparison.variants.values())
    return list(dict.fromkeys(str(base) for base in found if base is not None))


def read_gates(folder: Path, comparison: Comparison) -> dict[str, GatesFile]:
    """Return what was measured of the bases that the runs start from, where they have a file.

    Raises:
        UserError: A file is damaged.
    """
    files = {base: gates_file(folder, base) for base in bases(comparison)}
    return {base: validated(GatesFile, read_object(path), str(path)) for base, path in files.items() if path.is_file()}


def open_book_cites(comparison: Comparison) -> float | None:
    """Return how often the base cites with the reference in its prompt, as its gates measured it; None if unknown."""
    found = [each.measured[CITES] for each in comparison.gates.values() if CITES in each.measured]
    return found[0] if found else None


def failed(gates: Mapping[str, GatesFile]) -> dict[str, list[Gate]]:
    """Return the failed gates by the key of the claim that they forbid."""
    found: dict[str, list[Gate]] = defaultdict(list)
    for each in (gate for of_base in gates.values() for gate in of_base.gates):
        if not each.passed:
            for key in each.claims:
                found[key].append(each)
    return dict(found)
