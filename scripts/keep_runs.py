"""Keep what a result rests on: `python scripts/keep_runs.py runs/demo results/demo/runs`.

Of each finished run: configuration, provenance, status, metrics (compressed), evaluations (verdicts without
texts), the audit's report, the exposure of the decoys and the measured blame; no weights, no completions.
`rlsd plot results/demo/runs` judges and draws them again.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rlsd_cli.report.runs import find_runs

AUDIT = ("leakage/report.json", "leakage/exposure.json", "leakage/exposure.parquet")
WHOLE = ("config.yaml", "provenance.json", "status.json", *AUDIT)
JSON = ("eval/**/*.json", "credit/*.json")
VERDICTS = ("suite", "prompt_id", "sample_id", "correct", "unit", "meta", "length")


def keep(run: Path, target: Path) -> None:
    """Copy one run."""
    target.mkdir(parents=True, exist_ok=True)
    for name in [*WHOLE, *(str(path.relative_to(run)) for pattern in JSON for path in run.glob(pattern))]:
        if (run / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / name, target / name)
    metrics = run / "metrics.jsonl"
    if metrics.is_file():
        # Without the time in the header, equal metrics are equal files.
        (target / "metrics.jsonl.gz").write_bytes(gzip.compress(metrics.read_bytes(), mtime=0))
    for path in run.glob("eval/**/*.parquet"):
        frame, rows = pd.read_parquet(path), target / path.relative_to(run)
        rows.parent.mkdir(parents=True, exist_ok=True)
        frame[[name for name in VERDICTS if name in frame]].to_parquet(rows, index=False)
    credit = sorted(run.glob("credit/step-*.parquet"))
    if credit and run.name == "seed-0":  # the last heat-map of one seed
        (target / "credit").mkdir(exist_ok=True)
        shutil.copyfile(credit[-1], target / "credit" / credit[-1].name)


def main(
    runs: Annotated[list[Path], typer.Argument(help="Directories that hold runs, then the directory to keep them in.")],
) -> None:
    """Keep the finished runs below some directories."""
    *sources, target = runs
    for source in sources:
        for run in find_runs([source]):
            if run.complete:
                keep(run.path, target / run.path.relative_to(source))


if __name__ == "__main__":
    typer.run(main)
