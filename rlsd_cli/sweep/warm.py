"""Imported once by the process from which a sweep's commands are forked: all that they would import first."""

from rlsd_cli.models.libraries import quiet_libraries

quiet_libraries(None)

import gc  # noqa: E402
from importlib import import_module  # noqa: E402

# Imported, never run: a library that starts threads or touches an accelerator here would not survive the fork.
USED = (
    "pandas",
    "pyarrow.parquet",
    "rlsd_cli.cli",
    "rlsd_cli.evaluation.benchmarks.evaluate",
    "rlsd_cli.evaluation.planted",
    "rlsd_cli.evaluation.run",
    "rlsd_cli.generation.transformers_engine",
    "rlsd_cli.leakage.audit",
    "rlsd_cli.leakage.page",
    "rlsd_cli.training.callbacks",
    "rlsd_cli.training.reporting",
    "rlsd_cli.training.run",
    "rlsd_cli.training.trainer",
    "scipy.special",
    "torch.optim",
    "transformers",
    "trl",
)
for name in USED:
    try:
        import_module(name)
    except ImportError:  # told by the command that needs it
        continue
gc.collect()
gc.freeze()  # so that a child's collector does not touch, and thereby copy, what it shares with the others
