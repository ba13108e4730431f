"""Finding run directories and reading the parts of them that figures and tables need."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.report.cards import Card, card_of
from rlsd_cli.runs.directory import RunDir

if TYPE_CHECKING:
    import pandas as pd

OF_TOKENS_WITH_ADVANTAGE = ("rlsd/weight_clip_low", "rlsd/weight_clip_high")
SEARCH_DEPTH = 4  # runs/<suite>/<label>/<seed>: deeper nesting is nobody's lay-out


@dataclass(frozen=True)
class Run:
    """One training run, read-only."""

    directory: RunDir
    config: dict[str, Any]
    complete: bool
    step: int
    steps: int

    @property
    def path(self) -> Path:
        """Where the run lies."""
        return self.directory.path

    @property
    def method(self) -> str:
        """The arm."""
        return str(self.config.get("method", "unknown"))

    @property
    def label(self) -> str:
        """The variant's name; runs with one label are seeds of the same thing."""
        return str(self.config.get("label") or self.method)

    @property
    def seed(self) -> int:
        """The training seed."""
        return int(self.config.get("seed", 0))

    @functools.cached_property
    def arm(self) -> Card:
        """What is known of its arm: the package's record, or what the run directory kept of one of the user's own."""
        return card_of(self.method, _provenance(self.directory).get("arm"))

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """metrics.jsonl with one row per step (the last line of a step counts); empty where there is none yet."""
        import pandas as pd

        if not self.directory.has_metrics:
            return pd.DataFrame(index=pd.Index([], name="step"))
        records = [record for record in self.directory.metrics() if is_step(record.get("step"))]
        if not records:
            return pd.DataFrame(index=pd.Index([], name="step"))
        frame = pd.DataFrame(records).drop_duplicates("step", keep="last").set_index("step").sort_index()
        return _without_empty_means(frame.apply(pd.to_numeric, errors="coerce"))

    def series(self, key: str) -> tuple[NDArray, NDArray]:
        """Return the steps and the finite values of a metric: two arrays (n,), empty where the run lacks it.

        ``a+b`` is the sum of two metrics at the steps that have both.
        """
        names = key.split("+")
        if any(name not in self.metrics for name in names):
            return np.zeros(0, dtype=int), np.zeros(0)
        total = sum((self.metrics[name] for name in names[1:]), start=self.metrics[names[0]])
        kept = total[np.isfinite(total)]
        return kept.index.to_numpy(dtype=int), kept.to_numpy(dtype=float)


def _without_empty_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Take out means over the tokens of rollouts with an advantage where there is none; older runs hold a 0 there."""
    if "frac_reward_zero_std" in frame:
        keys = [key for key in OF_TOKENS_WITH_ADVANTAGE if key in frame]
        frame.loc[frame["frac_reward_zero_std"] >= 1, keys] = np.nan
    return frame


def _provenance(directory: RunDir) -> dict[str, Any]:
    """Return provenance.json; {} where it is missing or damaged, since a report can do without it."""
    try:
        value = json.loads(directory.provenance_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_step(value: Any) -> TypeGuard[int]:
    """Whether a value can be a training step; damaged files hold numbers that no index can."""
    return isinstance(value, int) and 0 <= value < 2**53


def open_run(path: Path) -> Run:
    """Open a run directory.

    Raises:
        UserError: The directory is none, or its config or status is damaged.
    """
    directory = RunDir.open(path)
    config, status = directory.config(), directory.status()
    seed = config.get("seed", 0)
    if not isinstance(seed, int):
        raise UserError(f"{directory.config_file} has seed {seed!r}, which is no whole number: restore the file.")
    step = status.get("step")
    planned = config.get("train")
    steps = planned.get("steps") if isinstance(planned, dict) else None
    steps = status.get("steps", steps)
    return Run(
        directory=directory,
        config=config,
        complete=status.get("state") == "complete",
        step=step if is_step(step) else 0,
        steps=steps if is_step(steps) else 0,
    )


def output_of(run_dirs: Sequence[Path]) -> Path:
    """Return where results go by default: results/ and the name of the one directory of runs given, or plot."""
    holder = len(run_dirs) == 1 and not is_run(run_dirs[0])
    return Path("results") / (run_dirs[0].resolve().name if holder else "plot")


def is_run(path: Path) -> bool:
    """Whether the directory looks like a run, readable or not."""
    return (path / "config.yaml").is_file() and (path / "status.json").is_file()


def _search(path: Path, depth: int) -> Iterator[Path]:
    if is_run(path):
        yield path
    elif depth > 0:
        for child in sorted(path.iterdir()):
            # Links are not followed: they could lead out of the directory, or round in a circle.
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
                yield from _search(child, depth - 1)


def find_runs(paths: Iterable[Path]) -> list[Run]:
    """Open the run directories given, and those inside the other directories given, each once.

    Raises:
        UserError: A path does not exist, or there is no run directory in it.
    """
    found: dict[Path, Run] = {}
    for path in paths:
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise UserError(f"{path} {what}: give a directory that `rlsd train` wrote, or one that holds some.")
        inside = list(_search(path, SEARCH_DEPTH))
        if not inside:
            raise UserError(
                f"{path} is not a run directory and holds none (no config.yaml with status.json): "
                "give a directory that `rlsd train` wrote."
            )
        for each in inside:
            if each.resolve() not in found:
                found[each.resolve()] = open_run(each)
    return list(found.values())
