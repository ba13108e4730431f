"""Accuracy on the suites: intervals over seeds and questions, and paired differences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rlsd_cli.evaluation import paired
from rlsd_cli.evaluation.paired import Difference, Unlike
from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.evaluations import rows_of
from rlsd_cli.report.missing import Missing
from rlsd_cli.statistics import Interval


def _seeds_with(variants: Sequence[Variant], suites: Sequence[str]) -> list[int]:
    each = [set(rows_of(variant, suite)) for variant in variants for suite in suites]
    return sorted(set.intersection(*each)) if each else []


def _pairs(variant: Variant, baseline: Variant, suites: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of seeds to compare: equal seeds; every seed of an arm with the one untrained model."""
    if variant.trained == baseline.trained:
        return [(seed, seed) for seed in _seeds_with([variant, baseline], suites)]
    ours, theirs = (_seeds_with([each], suites) for each in (variant, baseline))
    return list(itertools.product(ours, theirs))


def mean_interval(variant: Variant, suites: Sequence[str]) -> Interval:
    """Return accuracy averaged over suites with its 95 % interval over seeds and questions.

    Raises:
        Missing: No seed was evaluated on all the suites.
    """
    seeds = _seeds_with([variant], suites)
    if not seeds:
        raise Missing(f"no run of {variant.label} is evaluated on {', '.join(suites)}")
    rows = [rows_of(variant, suite) for suite in suites]
    try:
        return paired.accuracy([[each[seed] for seed in seeds] for each in rows])
    except Unlike as reason:
        raise Missing(f"{variant.label} on {', '.join(suites)}: {reason}") from None


def difference(variant: Variant, baseline: Variant, suites: Sequence[str]) -> Difference:
    """Return the paired difference on the seeds and questions that both were evaluated on.

    The untrained model is where every seed starts, so it is paired with all of them.

    Raises:
        Missing: They share no seed or no question.
    """
    pairs = _pairs(variant, baseline, suites)
    if not pairs:
        raise Missing(f"{variant.label} and {baseline.label} share no seed that is evaluated on {', '.join(suites)}")
    both = [(rows_of(variant, suite), rows_of(baseline, suite)) for suite in suites]
    seeds = tuple(left if variant.trained else right for left, right in pairs)
    try:
        return paired.difference([[(ours[a], theirs[b]) for a, b in pairs] for ours, theirs in both], seeds)
    except Unlike as reason:
        raise Missing(f"{variant.label} and {baseline.label} on {', '.join(suites)}: {reason}") from None


def samples_text(variants: Sequence[Variant], suites: Sequence[str]) -> str:
    """Say on how many questions and samples the accuracies rest, for captions."""
    results = [result for v in variants for suite in suites for result in rows_of(v, suite).values()]
    if not results:
        return "no evaluation"
    questions = sorted({len(result.ids) for result in results})
    counts = sorted({0 if result.greedy else result.samples for result in results})
    size = f"{questions[0]}" if len(questions) == 1 else f"{questions[0]} to {questions[-1]}"
    drawn = ", ".join("greedy" if k == 0 else f"{k} sample{'s' if k > 1 else ''}" for k in counts)
    return f"{size} questions per suite, {drawn} per question"
