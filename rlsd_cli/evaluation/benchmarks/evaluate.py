"""Benchmarks as suites of `rlsd eval`: which copy, which prompt, the benchmark's own numbers with intervals."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.numbers import averages
from rlsd_cli.evaluation.benchmarks.suites import find, judge, load_suite
from rlsd_cli.evaluation.results import verdicts
from rlsd_cli.evaluation.run import Suite
from rlsd_cli.evaluation.versions import of_benchmark
from rlsd_cli.statistics.intervals import wilson_interval
from rlsd_cli.statistics.jackknife import jackknife
from rlsd_cli.tasks.base import Example

if TYPE_CHECKING:
    import pandas as pd

Unanswerable = Literal["keep", "drop", "refuse"]
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
        unanswerable: Questions that nothing could be right for are kept (and wrong), dropped, or refused.
    """

    name: str
    source: str | None = None
    split: str | None = None
    instruction: str | None = None
    max_pixels: int | None = None
    unanswerable: Unanswerable = "keep"


def load(request: Request, limit: int | None = None) -> Suite:
    """Return a benchmark's questions as a suite, named after it (and after the split, if that is another).

    Raises:
        UserError: The benchmark, its copy, a column or an image is missing, or two questions have one id.
    """
    benchmark = find(request.name)
    source, split = request.source or benchmark.hub, request.split or benchmark.split
    instruction = benchmark.instruction if request.instruction is None else request.instruction
    examples = load_suite(request.name, source, limit, split, instruction, request.max_pixels)
    faulty = [example for example in examples if "unanswerable" in example.meta]
    if faulty and request.unanswerable == "refuse":
        raise UserError(f"{faults(faulty, source)}: fix the copy, or leave them out with --unanswerable drop.")
    if request.unanswerable == "drop":
        examples = [example for example in examples if "unanswerable" not in example.meta]
    if not examples:
        raise UserError(f"{source} has no question that can be answered: check the copy.")
    name, count = Counter(example.id for example in examples).most_common(1)[0]
    if count > 1:
        raise UserError(f"{source} has the question '{name}' {count} times: give a copy in which each stands once.")
    settings = {
        "benchmark": request.name,
        "source": source,
        "split": split,
        "instruction": instruction,
        "max_pixels": request.max_pixels,
        "protocol": benchmark.protocol,
        "unanswerable": [example.id for example in faulty],
        "unanswerable_are": "dropped" if request.unanswerable == "drop" else "wrong",
    }
    asked = {"instruction": request.instruction, "max_pixels": request.max_pixels}
    return Suite(
        name=benchmark.name if split == benchmark.split else f"{benchmark.name}-{split}",
        examples=examples,
        judge=judge,
        max_new_tokens=benchmark.sampling.get("max_new_tokens", MAX_NEW_TOKENS),
        defaults={key: value for key, value in benchmark.sampling.items() if key != "max_new_tokens"},
        chunk=CHUNK,
        keep=lambda example: {
            "unit": benchmark.unit(example),
            "meta": json.dumps(example.meta, ensure_ascii=False, sort_keys=True),
        },
        describe=describe,
        verifier=of_benchmark(benchmark.judge),
        settings=settings,
        remark=f"{faults(faulty, source)}; {settings['unanswerable_are']}." if faulty else "",
        asked={name: value for name, value in asked.items() if value is not None},
    )


def faults(examples: Sequence[Example], source: str) -> str:
    """Return the sentence that names questions which no completion could be right for, without its end."""
    first = examples[0]
    more = f", and so {len(examples) - 1} more" if len(examples) > 1 else ""
    fault = first.meta["unanswerable"]
    return (
        f"row {first.meta['row']} of {source}, question '{first.id}', {fault}{more}: no completion can be right there"
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
