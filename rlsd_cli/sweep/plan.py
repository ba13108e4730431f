"""From a sweep file to a list of runs and their commands. Pure: nothing is started or written here."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from rlsd_cli import config as configuration
from rlsd_cli.artifacts import RunDir, read_object
from rlsd_cli.config import RunConfig, Section
from rlsd_cli.errors import UserError


class RunEntry(Section):
    """One variant of a sweep."""

    method: str
    label: str = ""
    set: dict[str, Any] = Field(default_factory=dict)


class SweepFile(Section):
    """A sweep: variants × seeds on one preset, and how they are evaluated."""

    preset: str = "micro"
    output_dir: str
    seeds: Annotated[list[int], Field(min_length=1)]
    runs: Annotated[list[RunEntry], Field(min_length=1)]
    set: dict[str, Any] = Field(default_factory=dict)
    samples: Annotated[int, Field(ge=1)] = 4
    limit: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep."""

    config: RunConfig
    path: Path
    train: tuple[str, ...]
    evaluate: tuple[str, ...]
    audit: tuple[str, ...]

    @property
    def name(self) -> str:
        """Label and seed."""
        return f"{self.config.name} seed {self.config.seed}"

    def shell_line(self) -> str:
        """Return the run as one line for a shell, Slurm, Ray or xargs."""
        return " && ".join(shlex.join(command) for command in (self.train, self.evaluate, self.audit))


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        UserError: It is missing, or a key is unknown or mistyped.
    """
    try:
        return SweepFile.model_validate(configuration.read_yaml(path))
    except ValidationError as error:
        raise UserError(f"{path} is not valid: {configuration.explain(error, SweepFile)}") from None


def assignments(tree: dict[str, Any], prefix: str = "") -> list[str]:
    """Flatten a mapping into ``key.sub=value`` texts that `rlsd train --set` reads back."""
    texts = []
    for key, value in tree.items():
        if isinstance(value, dict):
            texts += assignments(value, f"{prefix}{key}.")
        else:
            texts.append(f"{prefix}{key}={json.dumps(value)}")
    return texts


def plan(sweep: SweepFile, output_dir: Path | None = None, seeds: list[int] | None = None) -> list[PlannedRun]:
    """Return the runs of a sweep, seed by seed, so that a sweep cut short has whole seeds.

    Args:
        sweep: The sweep.
        output_dir: Instead of the file's.
        seeds: Instead of the file's.

    Raises:
        UserError: A method, preset or key is unknown, or two variants have one label.
    """
    base = output_dir or Path(sweep.output_dir)
    labels = [entry.label or entry.method for entry in sweep.runs]
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if doubled:
        raise UserError(f"two variants of the sweep are called '{doubled[0]}': give each a label of its own.")
    return [
        plan_run(sweep, entry, label, seed, base)
        for seed in (seeds or sweep.seeds)
        for entry, label in zip(sweep.runs, labels, strict=True)
    ]


def plan_run(sweep: SweepFile, entry: RunEntry, label: str, seed: int, base: Path) -> PlannedRun:
    """Return one run of a sweep with its configuration resolved."""
    path = base / label / f"seed-{seed}"
    settings = configuration.merge(sweep.set, entry.set)
    if entry.label:
        settings = {"label": entry.label, **settings}
    preset = configuration.read_yaml(configuration.preset_file(sweep.preset, entry.method))
    config = configuration.build([preset, {"method": entry.method, "seed": seed}, settings], f"the run '{label}'")
    sets = [part for text in assignments(settings) for part in ("--set", text)]
    train = (
        *("rlsd", "train", "--preset", sweep.preset, "--method", entry.method, "--seed", str(seed)),
        *sets,
        *("--output-dir", str(path), "--resume"),
    )
    threads = ("--threads", str(config.train.threads)) if config.train.threads else ()
    limit = ("--limit", str(sweep.limit)) if sweep.limit else ()
    return PlannedRun(
        config=config,
        path=path,
        train=train,
        evaluate=("rlsd", "eval", str(path), "--samples", str(sweep.samples), *limit, *threads),
        audit=("rlsd", "leakage-audit", str(path)),
    )


def state_of(run: PlannedRun, samples: int) -> str:
    """Return ``complete``, ``trained`` (evaluation or audit is missing) or ``missing``.

    Raises:
        UserError: The directory holds a run with another configuration.
    """
    run_dir = RunDir(run.path)
    if not run_dir.config_file.is_file():
        return "missing"
    if not configuration.describes(run_dir.config(), run.config):
        raise UserError(
            f"{run.path} holds a run with another configuration: remove it, or sweep into another --output-dir."
        )
    if not run_dir.status_file.is_file() or run_dir.status().get("state") != "complete":
        return "missing"
    summaries = list(run_dir.eval_dir.glob("*.json"))
    evaluated = bool(summaries) and all(read_object(path).get("samples") == samples for path in summaries)
    audited = (run_dir.leakage_dir / "report.json").is_file()
    return "complete" if evaluated and audited else "trained"
