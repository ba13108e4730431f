"""Rollouts on disk: completions/step-NNNNNN.parquet."""

from __future__ import annotations

from typing import Any

from rlsd_cli.runs.directory import RunDir, write_parquet

COLUMNS = (
    "step",
    "prompt_id",
    "sample_id",
    "prompt",
    "completion",
    "reference",
    "decoy",
    "answer",
    "extracted",
    "reward",
    "correct",
    "why",
    "advantage",
    "length",
    "truncated",
)


def write_rollouts(run_dir: RunDir, step: int, columns: dict[str, list[Any]], group_size: int) -> None:
    """Write the rollouts of a step.

    Args:
        run_dir: The run.
        step: Training step, from 1.
        columns: Equal-length lists; groups side by side.
        group_size: Completions per prompt.
    """
    import pandas as pd

    count = len(columns["prompt_id"])
    frame = pd.DataFrame({**columns, "step": step, "sample_id": [index % group_size for index in range(count)]})
    write_parquet(run_dir.completions_dir / f"step-{step:06d}.parquet", frame[list(COLUMNS)])
