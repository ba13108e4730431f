"""Two runs on the same questions: paired differences with intervals, greedy and avg@k."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.scored import Scored
from rlsd_cli.runs.directory import RunDir, read_object
from rlsd_cli.statistics.jackknife import jackknife
from rlsd_cli.statistics.paired import holm, sign_flip_p

if TYPE_CHECKING:
    import pandas as pd

# Differences between two evaluations that were made otherwise are differences of that.
SAME = ("n_questions", "samples", "temperature", "engine", "source", "split", "instruction")


def read_rows(run_dir: RunDir, suite: str) -> pd.DataFrame:
    """Return the completions of a suite.

    Raises:
        UserError: The run is not evaluated on it, or the file is damaged.
    """
    import pandas as pd

    path = run_dir.eval_dir / f"{suite}.parquet"
    if not path.is_file():
        raise UserError(f"{run_dir.path} is not evaluated on '{suite}': run `rlsd eval` on it first.")
    try:
        frame = pd.read_parquet(path)
        return frame[[*("prompt_id", "sample_id", "correct"), *(["meta"] if "meta" in frame else [])]]
    except Exception as error:
        raise UserError(f"{path} is no readable evaluation ({type(error).__name__}): evaluate again.") from None


def evaluated(run_dir: RunDir) -> set[str]:
    """Return the suites that a run is evaluated on."""
    return {path.stem for path in run_dir.eval_dir.glob("*.parquet")}


def aligned(ours: Scored, theirs: Scored) -> tuple[Scored, Scored]:
    """Return both on the questions that they share, in one order."""
    both = sorted(set(ours.ids) & set(theirs.ids))
    places = [{name: row for row, name in enumerate(each.ids)} for each in (ours, theirs)]
    left, right = ([place[name] for name in both] for place in places)
    return ours.rows(left), theirs.rows(right)


def unit_differences(ours: Scored, theirs: Scored) -> NDArray:
    """Return the difference of right answers per unit, averaged over samples: (n_units,)."""
    difference = ours.verdicts.mean(axis=1) - theirs.verdicts.mean(axis=1)
    _, index = np.unique(np.asarray(ours.units, dtype=str), return_inverse=True)
    return np.bincount(index, weights=difference)


def compare_suite(ours: pd.DataFrame, theirs: pd.DataFrame, greedy: bool) -> dict[str, Any]:
    """Return the paired difference of two runs' completions of one suite, ours minus theirs.

    Args:
        ours: Rows of eval/<suite>.parquet.
        theirs: Those of the other run; questions that only one run answered are left out.
        greedy: Compare the greedy completions, else the average over samples.

    Returns:
        ``questions``, ``p`` (sign-flip test of the accuracy, question or problem as the unit) and
        ``differences``: per number ``ours``, ``theirs``, ``difference``, ``interval`` (jackknife, 95 %).

    Raises:
        UserError: They share no question.
    """
    left, right = aligned(Scored.of(ours, greedy), Scored.of(theirs, greedy))
    if not left.ids:
        raise UserError("the two runs answered different questions: evaluate both on the same copy.")

    def difference(rows: NDArray) -> dict[str, float]:
        mine, other = left.average(rows), right.average(rows)
        return {name: mine[name] - other[name] for name in mine}

    everything = np.arange(len(left.ids))
    mine, other = left.average(everything), right.average(everything)
    return {
        "questions": len(left.ids),
        "p": sign_flip_p(unit_differences(left, right)),
        "differences": {
            name: {
                "ours": mine[name],
                "theirs": other[name],
                "difference": found.mean,
                "interval": [found.low, found.high] if found.known else None,
            }
            for name, found in jackknife(difference, left.units).items()
        },
    }


def compare_runs(path: Path, other: Path, suites: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Compare what two runs are evaluated on; nothing is generated.

    Args:
        path: A run directory.
        other: Another.
        suites: Names; all that both have if empty.

    Returns:
        A comparison per suite and kind ("greedy", "avg@k"), with ``p_holm``, Holm's correction over the
        suites of a kind; and sentences that name evaluations which were made in different ways.

    Raises:
        UserError: A directory is no run, or they share no suite.
    """
    ours, theirs = RunDir.open(path), RunDir.open(other)
    names = suites or sorted(evaluated(ours) & evaluated(theirs))
    if not names:
        raise UserError(f"{path} and {other} are evaluated on no common suite: run `rlsd eval` on both first.")
    found, notes = [], []
    for suite in names:
        rows = read_rows(ours, suite), read_rows(theirs, suite)
        told = [read_object(run.eval_dir / f"{suite}.json") for run in (ours, theirs)]
        for key in SAME:
            left, right = (summary.get(key) for summary in told)
            if left != right:
                notes.append(f"{suite}: {key} is {left!r} here and {right!r} there.")
        for kind in ("greedy", "avg@k"):
            found.append({"suite": suite, "kind": kind, **compare_suite(*rows, greedy=kind == "greedy")})
    for kind in ("greedy", "avg@k"):
        same = [each for each in found if each["kind"] == kind]
        for each, p in zip(same, holm([each["p"] for each in same]), strict=True):
            each["p_holm"] = float(p)
    return found, notes
