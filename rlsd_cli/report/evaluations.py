"""Accuracy on the suites, from eval/<suite>.parquet: question means, intervals, paired differences."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlsd_cli.artifacts import RunDir
from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import Run
from rlsd_cli.statistics import Interval, crossed_interval, sign_flip_p

COLUMNS = ["prompt_id", "sample_id", "correct"]
EVAL_SETTINGS = ("n_questions", "samples", "temperature")


@dataclass(frozen=True)
class SuiteResult:
    """One run on one suite: ids (n_questions,), means (n_questions,) over k samples, k (1 and greedy if none drawn)."""

    ids: NDArray
    means: NDArray
    samples: int
    greedy: bool


@dataclass(frozen=True)
class Difference:
    """Variant minus baseline on matched seeds and questions.

    ``interval`` is over seeds and questions; ``p`` is the sign-flip test over questions, seeds as they are.
    """

    interval: Interval
    p: float
    seeds: tuple[int, ...]
    questions: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.interval.known and (self.interval.low > 0 or self.interval.high < 0)


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
    except Exception as error:
        raise UserError(
            f"{path} is not a readable evaluation ({type(error).__name__}): run `rlsd eval {directory.path}` again."
        ) from None
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


def suites_of(variant: Variant) -> list[str]:
    """Return the suites that at least one run of the variant was evaluated on at its end, sorted."""
    found = [(run, path.stem) for run in variant.runs for path in run.directory.eval_dir.glob("*.parquet")]
    return sorted({suite for run, suite in found if _of_the_end(run, suite)})


@functools.lru_cache(maxsize=1024)
def summary_of(directory: RunDir, suite: str) -> dict[str, Any]:
    """Return eval/<suite>.json, {} where there is none.

    Raises:
        UserError: The file is damaged.
    """
    path = directory.eval_dir / f"{suite}.json"
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: run `rlsd eval {directory.path}` again.")
    return value


def _of_the_end(run: Run, suite: str) -> bool:
    """Whether the evaluation is of the run's last step, not of an earlier checkpoint."""
    return summary_of(run.directory, suite).get("checkpoint_step", run.step) == run.step


def evaluation_notes(variants: Iterable[Variant], suites: Iterable[str]) -> list[str]:
    """Name evaluations that are left out or were made otherwise than the rest."""
    notes, how = [], defaultdict(list)
    for variant in variants:
        for run in variant.runs:
            for suite in suites:
                summary = summary_of(run.directory, suite)
                if not _of_the_end(run, suite):
                    step = summary["checkpoint_step"]
                    notes.append(
                        f"{run.path}: {suite} was evaluated at step {step}, not at its end {run.step}: left out."
                    )
                elif summary:
                    how[tuple(summary.get(key) for key in EVAL_SETTINGS)].append(f"{variant.label} seed {run.seed}")
    if len(how) > 1:
        parts = []
        for values, runs in how.items():
            told = ", ".join(f"{key} {value}" for key, value in zip(EVAL_SETTINGS, values, strict=True))
            parts.append(f"{told} ({', '.join(dict.fromkeys(runs))})")
        notes.append(f"The evaluations were made in different ways: {'; '.join(parts)}.")
    return notes


def _rows(variant: Variant, suite: str) -> dict[int, SuiteResult]:
    found = {run.seed: read_suite(run.directory, suite) for run in variant.runs if _of_the_end(run, suite)}
    return {seed: result for seed, result in found.items() if result is not None}


def _aligned(results: Sequence[SuiteResult], what: str) -> NDArray:
    """Return (n_results, n_questions) on the questions that all results share."""
    if len({result.greedy for result in results}) > 1:
        raise Missing(f"{what}: some runs were evaluated greedily and some with samples")
    common = functools.reduce(np.intersect1d, [result.ids for result in results])
    if len(common) == 0:
        raise Missing(f"{what}: the runs answered different questions")
    return np.stack([result.means[np.searchsorted(result.ids, common)] for result in results])


def _seeds_with(variants: Sequence[Variant], suites: Sequence[str]) -> list[int]:
    each = [set(_rows(variant, suite)) for variant in variants for suite in suites]
    return sorted(set.intersection(*each)) if each else []


def mean_interval(variant: Variant, suites: Sequence[str]) -> Interval:
    """Return accuracy averaged over suites with its 95 % interval over seeds and questions.

    Raises:
        Missing: No seed was evaluated on all the suites.
    """
    seeds = _seeds_with([variant], suites)
    if not seeds:
        raise Missing(f"no run of {variant.label} is evaluated on {', '.join(suites)}")
    strata = []
    for suite in suites:
        rows = _rows(variant, suite)
        strata.append(_aligned([rows[seed] for seed in seeds], f"{variant.label} on {suite}"))
    return crossed_interval(strata)


def difference(variant: Variant, baseline: Variant, suites: Sequence[str]) -> Difference:
    """Return the paired difference on the seeds and questions that both were evaluated on.

    Raises:
        Missing: They share no seed or no question.
    """
    seeds = _seeds_with([variant, baseline], suites)
    if not seeds:
        raise Missing(f"{variant.label} and {baseline.label} share no seed that is evaluated on {', '.join(suites)}")
    strata = []
    for suite in suites:
        ours, theirs = _rows(variant, suite), _rows(baseline, suite)
        both = [ours[seed] for seed in seeds] + [theirs[seed] for seed in seeds]
        matrix = _aligned(both, f"{variant.label} and {baseline.label} on {suite}")
        strata.append(matrix[: len(seeds)] - matrix[len(seeds) :])
    # Each suite has the same weight in the mean, so a question of a small suite weighs more in the test too.
    by_question = np.concatenate([stratum.mean(axis=0) / stratum.shape[1] for stratum in strata])
    return Difference(crossed_interval(strata), sign_flip_p(by_question), tuple(seeds), by_question.size)


def samples_text(variants: Sequence[Variant], suites: Sequence[str]) -> str:
    """Say on how many questions and samples the accuracies rest, for captions."""
    results = [result for v in variants for suite in suites for result in _rows(v, suite).values()]
    if not results:
        return "no evaluation"
    questions = sorted({len(result.ids) for result in results})
    counts = sorted({0 if result.greedy else result.samples for result in results})
    size = f"{questions[0]}" if len(questions) == 1 else f"{questions[0]} to {questions[-1]}"
    drawn = ", ".join("greedy" if k == 0 else f"{k} sample{'s' if k > 1 else ''}" for k in counts)
    return f"{size} questions per suite, {drawn} per question"
