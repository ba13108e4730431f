"""Which evaluations of the runs of a variant are shown, and what must be said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rlsd_cli.evaluation.results import Evaluation, SuiteResult, evaluations
from rlsd_cli.evaluation.settings import MUST_AGREE, disagreements, value_of
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.runs import Run

WORDY = 60  # longer values, such as an instruction, are cut


def of_the_end(run: Run, suite: str) -> list[Evaluation]:
    """Return a run's evaluations of its last step, not of an earlier checkpoint; the one that is shown first."""
    return [each for each in evaluations(run.directory, suite) if step_of(each, run) == run.step]


def step_of(each: Evaluation, run: Run) -> object:
    """Return the step that was evaluated; the last one where it is not said."""
    return each.summary.get("checkpoint_step", run.step)


def suites_of(variant: Variant) -> list[str]:
    """Return the suites that at least one run of the variant was evaluated on at its end, sorted."""
    found = {(run.seed, each.suite): run for run in variant.runs for each in evaluations(run.directory)}
    return sorted({suite for (_, suite), run in found.items() if of_the_end(run, suite)})


def rows_of(variant: Variant, suite: str) -> dict[int, SuiteResult]:
    """Return the result that is shown of each seed on a suite.

    Raises:
        UserError: A file of it is damaged.
    """
    shown = {run.seed: of_the_end(run, suite) for run in variant.runs}
    found = {seed: each[0].result() for seed, each in shown.items() if each}
    return {seed: result for seed, result in found.items() if result is not None}


def evaluation_notes(variants: Iterable[Variant], suites: Iterable[str]) -> list[str]:
    """Name evaluations that are left out, and settings in which those that are shown do not agree."""
    notes: list[str] = []
    alike: dict[str, list[str]] = defaultdict(list)
    runs = [(f"{variant.label} seed {run.seed}", run) for variant in variants for run in variant.runs]
    for suite in suites:
        shown: dict[str, Evaluation] = {}
        for name, run in runs:
            ends = of_the_end(run, suite)
            notes += [f"{run.path}: {sentence}" for sentence in _left_out(run, suite, ends)]
            if ends and ends[0].summary:
                shown[name] = ends[0]
        if text := _differences(shown):
            alike[text].append(suite)
    return notes + [
        f"The evaluations of {', '.join(on)} were made in different ways: {how}." for how, on in alike.items()
    ]


def _left_out(run: Run, suite: str, ends: list[Evaluation]) -> Iterator[str]:
    if not ends:
        for each in evaluations(run.directory, suite):
            yield f"{suite} was evaluated at step {step_of(each, run)}, not at its end {run.step}: left out."
    for each in ends[1:]:
        places = [f"eval/{one.folder}".rstrip("/") for one in (ends[0], each)]
        yield f"{suite} was evaluated in several ways: that in {places[0]} is shown, that in {places[1]} is not."


def _differences(shown: dict[str, Evaluation]) -> str:
    """Say in which settings evaluations differ, and which runs have which; '' where they agree."""
    summaries = [each.summary for each in shown.values()]
    keys = {key for each in summaries for key, _, _ in disagreements(summaries[0], each)}
    how: dict[str, list[str]] = defaultdict(list)
    for name, each in shown.items():
        told = [f"{key} {str(value_of(each.summary, key))[:WORDY]}" for key in MUST_AGREE if key in keys]
        how[", ".join(told)].append(name)
    return "; ".join(f"{told} ({', '.join(names)})" for told, names in how.items()) if keys else ""
