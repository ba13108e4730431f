"""Two runs on the same questions: paired differences with intervals, greedy and avg@k."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.numbers import averages
from rlsd_cli.evaluation.paired import aligned, difference
from rlsd_cli.evaluation.results import Evaluation, SuiteResult, evaluations
from rlsd_cli.evaluation.settings import UNKNOWN, disagreements, unknown_in_both
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.statistics.intervals import Interval
from rlsd_cli.statistics.jackknife import jackknife
from rlsd_cli.statistics.paired import holm


def agreeing(ours: RunDir, theirs: RunDir, suite: str) -> tuple[Evaluation, Evaluation]:
    """Return the evaluations of two runs on a suite that were made alike, the first pair in the order of tables.

    Raises:
        UserError: One of the runs has none, or no two were made alike; the sentence names the setting that differs.
    """
    for run in (ours, theirs):
        if not evaluations(run, suite):
            raise UserError(f"{run.path} is not evaluated on '{suite}': run `rlsd eval` on it first.")
    pairs = list(itertools.product(evaluations(ours, suite), evaluations(theirs, suite)))
    told = [disagreements(left.summary, right.summary) for left, right in pairs]
    if [] in told:
        return pairs[told.index([])]
    key, left, right = min(told, key=len)[0]
    raise UserError(
        f"the evaluations on '{suite}' were not made alike: {key} is {shown(left)} in {ours.path} and "
        f"{shown(right)} in {theirs.path}; evaluate both in the same way."
    )


def shown(value: Any) -> str:
    """Return a setting for a sentence."""
    return str(value) if value == UNKNOWN else repr(value)


def compare_suite(ours: SuiteResult | None, theirs: SuiteResult | None) -> dict[str, Any]:
    """Return the paired difference of two runs' verdicts on one suite, ours minus theirs.

    Args:
        ours: The verdicts, greedy or sampled.
        theirs: Those of the other run; questions that only one run answered are left out.

    Returns:
        ``questions``, ``p`` (sign-flip test of the accuracy, question or problem as the unit) and ``differences``:
        per number ``ours``, ``theirs``, ``difference``, ``interval`` (95 %; of the accuracy as in `rlsd plot`,
        of a benchmark's other numbers the jackknife; None where there is none).

    Raises:
        UserError: They share no question, or there is no completion of this kind.
    """
    if ours is None or theirs is None:
        raise UserError("one of the two evaluations has no such completions: evaluate both with the same --samples.")
    left, right = aligned([ours, theirs])
    accuracy = difference([[(left, right)]])

    def differences(rows: NDArray) -> dict[str, float]:
        mine, other = averages(left, rows), averages(right, rows)
        return {name: mine[name] - other[name] for name in mine}

    everything = np.arange(len(left.ids))
    mine, other = averages(left, everything), averages(right, everything)
    intervals: dict[str, Interval] = {"accuracy": accuracy.interval}
    if left.meta:
        intervals = jackknife(differences, list(left.units)) | intervals
    return {
        "questions": accuracy.questions,
        "p": accuracy.p,
        "differences": {
            name: {
                "ours": mine[name],
                "theirs": other[name],
                "difference": mine[name] - other[name],
                "interval": intervals[name].ends,
            }
            for name in mine
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
        suites of a kind; and sentences that name settings which neither evaluation records.

    Raises:
        UserError: A directory is no run, they share no suite, or their evaluations were made in different ways.
    """
    ours, theirs = RunDir.open(path), RunDir.open(other)
    common = {each.suite for each in evaluations(ours)} & {each.suite for each in evaluations(theirs)}
    names = suites or sorted(common)
    if not names:
        raise UserError(f"{path} and {other} are evaluated on no common suite: run `rlsd eval` on both first.")
    found, notes = [], []
    for suite in names:
        left, right = agreeing(ours, theirs, suite)
        if unknown := unknown_in_both(left.summary, right.summary):
            notes.append(f"{suite}: neither evaluation records {', '.join(unknown)} (an older rlsd made both).")
        for kind in ("greedy", "avg@k"):
            greedy = kind == "greedy"
            each = compare_suite(left.result(greedy), right.result(greedy))
            steps = [run.summary.get("checkpoint_step", UNKNOWN) for run in (left, right)]
            found.append({"suite": suite, "kind": kind, "steps": steps, **each})
    for kind in ("greedy", "avg@k"):
        same = [each for each in found if each["kind"] == kind]
        for each, p in zip(same, holm([each["p"] for each in same]), strict=True):
            each["p_holm"] = float(p)
    return found, notes
