"""Verdicts of an evaluation as a table of questions by samples, and the numbers that follow from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rlsd_cli.evaluation.benchmarks.base import plain_accuracy
from rlsd_cli.evaluation.benchmarks.suites import find, metrics
from rlsd_cli.evaluation.run import GREEDY
from rlsd_cli.tasks.base import Example

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scored:
    """Questions with their verdicts.

    Attributes:
        examples: n questions, of which only id and meta are known.
        verdicts: (n, k) of bool, a column per sample.
        numbers: From questions and one verdict each to numbers by name.
        units: (n,), what intervals take as the unit.
    """

    examples: Sequence[Example]
    verdicts: NDArray
    numbers: Callable[[Sequence[Example], Sequence[bool]], dict[str, float]]
    units: Sequence[str]

    @classmethod
    def of(cls, frame: pd.DataFrame, greedy: bool) -> Scored:
        """Return the greedy or the sampled verdicts of a suite's rows (eval/<suite>.parquet), by id.

        Benchmarks keep what their numbers need in the column ``meta``; any other suite has its accuracy.
        """
        chosen = frame[(frame["sample_id"] == GREEDY) == greedy]
        table = chosen.pivot_table(index="prompt_id", columns="sample_id", values="correct", aggfunc="first")
        names = [str(name) for name in table.index]
        verdicts = table.to_numpy(dtype=bool)
        if "meta" not in chosen or chosen.empty:
            return cls([Example(name, "", "") for name in names], verdicts, plain_accuracy, names)
        meta = chosen.groupby("prompt_id")["meta"].first()
        examples = [Example(name, "", "", meta=json.loads(meta[name])) for name in names]
        unit = find(examples[0].meta["benchmark"]).unit
        return cls(examples, verdicts, metrics, [unit(example) for example in examples])

    @property
    def ids(self) -> list[str]:
        """The questions' ids, sorted."""
        return [example.id for example in self.examples]

    @property
    def grouped(self) -> bool:
        """Whether a unit may hold several questions."""
        return len(set(self.units)) < len(self.units)

    def rows(self, rows: Sequence[int]) -> Scored:
        """Return some of the questions."""
        examples, units = [self.examples[i] for i in rows], [self.units[i] for i in rows]
        return Scored(examples, self.verdicts[list(rows)], self.numbers, units)

    def average(self, rows: NDArray) -> dict[str, float]:
        """Return the numbers of some questions, each averaged over the samples."""
        examples = [self.examples[i] for i in rows]
        each = [self.numbers(examples, column.tolist()) for column in self.verdicts[rows].T]
        return {name: float(np.mean([found[name] for found in each])) for name in each[0]}
