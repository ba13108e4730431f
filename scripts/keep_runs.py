"""Keep what a result rests on: `python scripts/keep_runs.py runs/demo results/demo/runs`.

Of each finished run: configuration, provenance, status, metrics (compressed), evaluations (verdicts without
texts), the audit's report, the exposure of the decoys and the measured blame; no weights, and of the texts the few
samples of each arm's first seed that REPORT.html shows, with their credit. `rlsd plot results/demo/runs` and
`rlsd report results/demo/runs` judge and draw them again.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rlsd_cli.report.runs import Run, find_runs
from rlsd_cli.report.samples import kept_files, telling

AUDIT = ("leakage/report.json", "leakage/exposure.json", "leakage/exposure.parquet")
WHOLE = ("config.yaml", "provenance.json", "status.json", *AUDIT)
JSON = ("eval/**/*.json", "credit/*.json")
HEAT_MAP = "rlsd"  # whose last probe Fig. 6 draws
VERDICTS = ("suite", "prompt_id", "sample_id", "correct", "unit", "meta", "length")


def keep(run: Path, target: Path) -> None:
    """Copy one run."""
    target.mkdir(parents=True, exist_ok=True)
    for name in [*WHOLE, *(str(path.relative_to(run)) for pattern in JSON for path in run.glob(pattern))]:
        if (run / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / name, target / name)
    without_machine(target / "provenance.json", run)
    metrics = run / "metrics.jsonl"
    if metrics.is_file():
        # Without the time in the header, equal metrics are equal files.
        (target / "metrics.jsonl.gz").write_bytes(gzip.compress(metrics.read_bytes(), mtime=0))
    for path in run.glob("eval/**/*.parquet"):
        frame, rows = pd.read_parquet(path), target / path.relative_to(run)
        rows.parent.mkdir(parents=True, exist_ok=True)
        frame[[name for name in VERDICTS if name in frame]].to_parquet(rows, index=False)


def without_machine(provenance: Path, run: Path) -> None:
    """Name the run's directory in its command as it was given here: a sweep's is absolute, and tells of a machine."""
    if not provenance.is_file():
        return
    record = json.loads(provenance.read_text(encoding="utf-8"))
    for attempt in record.get("attempts", []):
        words = attempt.get("command", [])
        for place, word in enumerate(words[:-1]):
            if word == "--output-dir":
                words[place + 1] = str(run)
    provenance.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def keep_samples(run: Run, target: Path) -> None:
    """Copy the samples that are shown of a run, and the whole last probe of the arm whose heat-map is drawn."""
    files = kept_files(run)
    for step, path in files.items():
        kept = target / "credit" / path.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if run.method == HEAT_MAP and step == max(files):
            shutil.copyfile(path, kept)
        else:
            telling(pd.read_parquet(path)).to_parquet(kept, index=False, compression="zstd")


def main(
    runs: Annotated[list[Path], typer.Argument(help="Directories that hold runs, then the directory to keep them in.")],
) -> None:
    """Keep the finished runs below some directories."""
    *sources, target = runs
    for source in sources:
        finished = [run for run in find_runs([source]) if run.complete]
        for run in finished:
            place = target / run.path.relative_to(source)
            keep(run.path, place)
            if run.seed == min(other.seed for other in finished if other.label == run.label):
                keep_samples(run, place)


if __name__ == "__main__":
    typer.run(main)
