"""The files of evaluations: the one writer, the one reader (docs/run-directory.md, "eval/")."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.settings import IDENTITY, MUST_AGREE, digest, same_evaluation, value_of
from rlsd_cli.runs.directory import RunDir, read_object, write_json, write_parquet

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

GREEDY = -1  # sample_id of the greedy completion
COLUMNS = ("prompt_id", "sample_id", "correct")
SUFFIXES = (".json", ".parquet")
OPTIONAL = ("unit", "meta")  # of benchmarks
DEFAULTS = "defaults"  # the folder of an evaluation at the defaults, where eval/ itself holds another


@dataclass(frozen=True)
class SuiteResult:
    """Verdicts of one suite, greedy or sampled.

    Attributes:
        ids: (n,), the questions' ids, sorted.
        verdicts: (n, k) of bool, a column per sample.
        units: (n,), what each question belongs to: questions of one unit are not independent.
        greedy: Whether these are the greedy completions (k is 1).
        meta: (n,), what a benchmark's own numbers need of each question; () for a task's suite.
    """

    ids: NDArray
    verdicts: NDArray
    units: NDArray
    greedy: bool
    meta: tuple[dict[str, Any], ...] = ()

    @property
    def means(self) -> NDArray:
        """The share of right samples of each question, (n,)."""
        return self.verdicts.mean(axis=1)

    @property
    def samples(self) -> int:
        """Completions per question."""
        return int(self.verdicts.shape[1])

    def rows(self, chosen: NDArray) -> SuiteResult:
        """Return some of the questions, by number."""
        meta = tuple(self.meta[i] for i in chosen) if self.meta else ()
        return SuiteResult(self.ids[chosen], self.verdicts[chosen], self.units[chosen], self.greedy, meta)


def verdicts(frame: pd.DataFrame, greedy: bool) -> SuiteResult | None:
    """Return the greedy or the sampled verdicts of a suite's rows; None where there are none.

    Raises:
        ValueError: Some question lacks a sample that others have.
    """
    import numpy as np

    chosen = frame[(frame["sample_id"] == GREEDY) == greedy]
    if chosen.empty:
        return None
    table = chosen.pivot_table(index="prompt_id", columns="sample_id", values="correct", aggfunc="first")
    if table.isna().any(axis=None):
        raise ValueError("the questions differ in their number of samples")
    firsts = chosen.groupby("prompt_id", sort=True).first()
    units = firsts.get("unit", firsts.index)
    meta = tuple(json.loads(each) for each in firsts["meta"]) if "meta" in firsts else ()
    if meta and "unit" not in firsts:  # written before the column was
        units = [str(each.get("problem", name)) for name, each in zip(firsts.index, meta, strict=True)]
    as_text = [np.asarray([str(each) for each in column], dtype=str) for column in (table.index, units)]
    return SuiteResult(as_text[0], table.to_numpy().astype(bool), as_text[1], greedy, meta)


@dataclass(frozen=True)
class Evaluation:
    """One suite of one evaluation of a run: its files, read when they are asked for."""

    run: RunDir
    suite: str
    rows_file: Path

    @functools.cached_property
    def summary(self) -> dict[str, Any]:
        """The summary; {} where there is none.

        Raises:
            UserError: The file is damaged.
        """
        path = self.rows_file.with_suffix(".json")
        return read_object(path) if path.is_file() else {}

    @property
    def folder(self) -> str:
        """The folder within eval/; '' of the final model at the defaults."""
        place = self.rows_file.parent.relative_to(self.run.eval_dir)
        return "" if place == Path() else str(place)

    @functools.cached_property
    def _results(self) -> dict[bool, SuiteResult | None]:
        import pandas as pd
        from pyarrow import parquet

        if not self.rows_file.is_file():
            return {True: None, False: None}
        try:
            have = parquet.read_schema(self.rows_file).names
            frame = pd.read_parquet(self.rows_file, columns=[*COLUMNS, *(name for name in OPTIONAL if name in have)])
            return {greedy: verdicts(frame, greedy) for greedy in (True, False)}
        except Exception as error:  # of pyarrow, of pandas at columns of other types, of numpy at values of others
            raise self._unreadable(error) from None

    def result(self, greedy: bool | None = None) -> SuiteResult | None:
        """Return the verdicts, None where there are none.

        Args:
            greedy: The greedy ones or the sampled; where None, the sampled (avg@k), or the greedy if none were drawn.

        Raises:
            UserError: The rows are damaged or lack a column.
        """
        if greedy is None:
            return self._results[False] or self._results[True]
        return self._results[greedy]

    def _unreadable(self, error: Exception) -> UserError:
        return UserError(
            f"{self.rows_file} is not a readable evaluation ({type(error).__name__}): "
            f"run `rlsd eval {self.run.path}` again."
        )


@functools.lru_cache(maxsize=4096)
def evaluations(run: RunDir, suite: str | None = None) -> tuple[Evaluation, ...]:
    """Return what a run is evaluated on, those first that tables show.

    First come evaluations that record all their settings, then whole suites before a ``--limit``, then the defaults
    before other settings.

    Args:
        run: A run directory.
        suite: Only of this suite.

    Raises:
        UserError: A summary is damaged.
    """

    def preference(each: Evaluation) -> tuple[Any, ...]:
        unknown = sum(value_of(each.summary, key) == "unknown" for key in MUST_AGREE)
        return (each.suite, unknown, each.summary.get("limit") is not None, len(each.folder), each.folder)

    if not run.eval_dir.is_dir():
        return ()
    folders = [child for child in run.eval_dir.iterdir() if child.is_dir() and not child.name.endswith(".parts")]
    files = [path for folder in (run.eval_dir, *folders) for path in folder.iterdir() if path.suffix in SUFFIXES]
    found = {path.with_suffix(".parquet") for path in files if suite is None or path.stem == suite}
    return tuple(sorted((Evaluation(run, path.stem, path) for path in found), key=preference))


def write(run: RunDir, folder: str, frame: pd.DataFrame, summary: Mapping[str, Any], *, final: bool = True) -> Path:
    """Write a suite's rows and summary, over no evaluation but the same one.

    The first evaluation of a suite by the final model lies in eval/ itself, whatever its settings; each other one
    has a folder.

    Args:
        run: The run.
        folder: Within eval/, by the settings (`settings.folder_name`); a digest is added where another
            evaluation lies there (of another copy of the questions, by other rules, or from an older rlsd).
        frame: A row per completion.
        summary: With every key of `settings.IDENTITY`.
        final: Whether it is of the final model and not of an earlier checkpoint.

    Returns:
        The path of the rows.
    """
    told = digest([value_of(summary, key) for key in IDENTITY], 8)
    own = folder or DEFAULTS
    path = next(
        path
        for place in ([""] if final else []) + [own, f"{own},other-{told}"]
        if _free_or_same(path := run.eval_dir / place / f"{summary['suite']}.json", summary)
    )
    rows = path.with_suffix(".parquet")
    write_parquet(rows, frame)
    write_json(path, dict(summary))
    evaluations.cache_clear()
    return rows


def _free_or_same(path: Path, summary: Mapping[str, Any]) -> bool:
    if not path.is_file():
        return True
    try:
        return same_evaluation(read_object(path), summary)
    except UserError:
        return True  # damaged: it is made again
