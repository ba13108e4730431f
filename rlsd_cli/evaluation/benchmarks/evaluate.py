"""Benchmarks as suites of `rlsd eval`: which copy, which prompt, the benchmark's own numbers with intervals."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.numbers import averages
from rlsd_cli.evaluation.benchmarks.suites import find, judge, load_suite
from rlsd_cli.evaluation.results import verdicts
from rlsd_cli.evaluation.run import Suite
from rlsd_cli.evaluation.versions import of_benchmark
from rlsd_cli.statistics.intervals import wilson_interval
from rlsd_cli.statistics.jackknife import jackknife

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 40  # questions that are finished, then stored
MAX_NEW_TOKENS = 4096  # the paper's "4K max length"


@dataclass(frozen=True)
class Request:
    """A benchmark that is asked for.

    Attributes:
        name: Its name.
        source: A local copy or another hub id; its own hub data set where None.
        split: Another split; that with public answers where None.
        instruction: The end of the prompt; the benchmark's own where None.
        max_pixels: Larger images are scaled down.
    """

    name: str
    source: str | None = None
    split: str | None = None
    instruction: str | None = None
    max_pixels: int | None = None


def load(request: Request, limit: int | None = None) -> Suite:
    """Return a benchmark's questions as a suite, named after it (and after the split, if that is another).

    Raises:
        UserError: The benchmark, its copy, a column or an image is missing, or two questions have one id.
    """
    benchmark = find(request.name)
    source, split = request.source or benchmark.hub, request.split or benchmark.split
    instruction = benchmark.instruction if request.instruction is None else request.instruction
    examples = load_suite(request.name, source, limit, split, instruction, request.max_pixels)
    name, count = Counter(example.id for example in examples).most_common(1)[0]
    if count > 1:
        raise UserError(f"{source} has the question '{name}' {count} times: give a copy in which each stands once.")
    settings = {
        "benchmark": request.name,
        "source": source,
        "split": split,
        "instruction": instruction,
        "max_pixels": request.max_pixels,
    }
    asked = {"instruction": request.instruction, "max_pixels": request.max_pixels}
    return Suite(
        name=request.name if split == benchmark.split else f"{request.name}-{split}",
        examples=examples,
        judge=judge,
        max_new_tokens=MAX_NEW_TOKENS,
        chunk=CHUNK,
        keep=lambda example: {
            "unit": benchmark.unit(example),
            "meta": json.dumps(example.meta, ensure_ascii=False, sort_keys=True),
        },
        describe=describe,
        verifier=of_benchmark(benchmark.judge),
        settings=settings,
        asked={name: value for name, value in asked.items() if value is not None},
    )


def describe(frame: pd.DataFrame) -> dict[str, Any]:
    """Return ``metrics`` of a benchmark's rows: its own numbers, greedy and averaged over samples, with intervals.

    Where questions hang together (a problem of We-Math), the intervals of the accuracy are replaced by such
    that have the problem as the unit.
    """
    found: dict[str, Any] = {"metrics": defaultdict(dict)}
    for kind, greedy in (("greedy", True), ("avg_at_k", False)):
        result = verdicts(frame, greedy)
        assert result is not None
        units = len(np.unique(result.units))
        numbers = jackknife(partial(averages, result), result.units.tolist())
        for name, each in numbers.items():
            found["metrics"][name] |= {kind: each.mean, f"{kind}_interval": each.ends}
        if units < len(result.units):
            accuracy = numbers["accuracy"]
            if accuracy.mean in (0.0, 1.0):  # no spread: as if the units were all that was asked
                accuracy = wilson_interval(units * int(accuracy.mean), units)
            found[f"{kind}_interval"] = accuracy.ends
    return found
