"""A benchmark's own numbers, from verdicts as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rlsd_cli.evaluation.benchmarks.base import plain_accuracy
from rlsd_cli.evaluation.benchmarks.outside import is_known
from rlsd_cli.tasks.base import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rlsd_cli.evaluation.results import SuiteResult


def averages(result: SuiteResult, rows: NDArray) -> dict[str, float]:
    """Return the numbers of some questions, each averaged over the samples.

    Args:
        result: Verdicts; a task's suite, which keeps no ``meta``, has its accuracy only.
        rows: Numbers of the questions, (n_kept,).
    """
    from rlsd_cli.evaluation.benchmarks.suites import metrics

    numbers = metrics if result.meta and is_known(str(result.meta[0].get("benchmark"))) else plain_accuracy
    examples = [Example(str(result.ids[i]), "", "", meta=result.meta[i] if result.meta else {}) for i in rows]
    each = [numbers(examples, column.tolist()) for column in result.verdicts[rows].T]
    return {name: float(np.mean([found[name] for found in each])) for name in each[0]}
