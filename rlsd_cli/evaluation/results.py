"""Reading eval/<suite>.parquet and eval/<suite>.json of the runs of a variant."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.runs import Run
from rlsd_cli.runs.directory import RunDir, read_object

COLUMNS = ["prompt_id", "sample_id", "correct"]
EVAL_SETTINGS = ("n_questions", "samples", "temperature")


@dataclass(frozen=True)
class SuiteResult:
    """One run on one suite: ids (n_questions,), means (n_questions,) over k samples, k (1 and greedy if none drawn)."""

    ids: NDArray
    means: NDArray
    samples: int
    greedy: bool


@functools.lru_cache(maxsize=1024)
def read_suite(directory: RunDir, suite: str) -> SuiteResult | None:
    """Return a run's result on a suite, or None if it was not evaluated there.

    Sampled completions count where there are any (avg@k), otherwise the greedy one.

    Raises:
        UserError: The parquet file is damaged or lacks a column.
    """
    import pandas as pd

    path = directory.eval_dir / f"{suite}.parquet"
    if not path.is_file():
        return None
    try:
        frame = pd.read_parquet(path, columns=COLUMNS)
        sampled = frame[frame["sample_id"] >= 0]
        greedy = sampled.empty
        used = frame if greedy else sampled
        if used.empty:
            return None
        grouped = used.groupby("prompt_id", sort=True)["correct"]
        return SuiteResult(
            ids=grouped.mean().index.to_numpy(dtype=str),
            means=grouped.mean().to_numpy(dtype=float),
            samples=int(grouped.size().min()),
            greedy=greedy,
        )
    except Exception as error:  # of pyarrow, or of pandas at columns of other types
        raise UserError(
            f"{path} is not a readable evaluation ({type(error).__name__}): run `rlsd eval {directory.path}` again."
        ) from None


def suites_of(variant: Variant) -> list[str]:
    """Return the suites that at least one run of the variant was evaluated on at its end, sorted."""
    found = [(run, path.stem) for run in variant.runs for path in run.directory.eval_dir.glob("*.parquet")]
    return sorted({suite for run, suite in found if of_the_end(run, suite)})


@functools.lru_cache(maxsize=1024)
def summary_of(directory: RunDir, suite: str) -> dict[str, Any]:
    """Return eval/<suite>.json, {} where there is none.

    Raises:
        UserError: The file is damaged.
    """
    path = directory.eval_dir / f"{suite}.json"
    if not path.is_file():
        return {}
    return read_object(path)


def of_the_end(run: Run, suite: str) -> bool:
    """Whether the evaluation is of the run's last step, not of an earlier checkpoint."""
    return summary_of(run.directory, suite).get("checkpoint_step", run.step) == run.step


def evaluation_notes(variants: Iterable[Variant], suites: Iterable[str]) -> list[str]:
    """Name evaluations that are left out or were made otherwise than the rest."""
    notes, how = [], defaultdict(list)
    for variant in variants:
        for run in variant.runs:
            for suite in suites:
                summary = summary_of(run.directory, suite)
                if not of_the_end(run, suite):
                    step = summary["checkpoint_step"]
                    notes.append(
                        f"{run.path}: {suite} was evaluated at step {step}, not at its end {run.step}: left out."
                    )
                elif summary:
                    how[tuple(str(summary.get(key)) for key in EVAL_SETTINGS)].append(
                        f"{variant.label} seed {run.seed}"
                    )
    if len(how) > 1:
        parts = []
        for values, runs in how.items():
            told = ", ".join(f"{key} {value}" for key, value in zip(EVAL_SETTINGS, values, strict=True))
            parts.append(f"{told} ({', '.join(dict.fromkeys(runs))})")
        notes.append(f"The evaluations were made in different ways: {'; '.join(parts)}.")
    return notes


def rows_of(variant: Variant, suite: str) -> dict[int, SuiteResult]:
    found = {run.seed: read_suite(run.directory, suite) for run in variant.runs if of_the_end(run, suite)}
    return {seed: result for seed, result in found.items() if result is not None}
