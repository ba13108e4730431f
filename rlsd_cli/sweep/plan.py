"""From a sweep file to a list of runs and their commands. Pure: nothing is started or written here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from rlsd_cli.arms import configure, load_arm
from rlsd_cli.config import layers
from rlsd_cli.config.layers import Section
from rlsd_cli.config.run import BASE, RunConfig
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.results import evaluations
from rlsd_cli.evaluation.settings import UNKNOWN, EvalOptions
from rlsd_cli.runs.directory import RunDir, read_object

DECOYS = 20  # questions with a decoy, expected, from which on a sweep measures their exposure
FOLLOW_SAMPLES = 4  # completions per question with a decoy


class RunEntry(Section):
    """One variant of a sweep."""

    method: str
    label: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, description="dotted key: values; a variant for each combination, named by the values"
    )
    seeds: Annotated[list[int], Field(min_length=1)] | None = Field(
        default=None, description="of this variant, where more or fewer than the sweep's are wanted"
    )

    def variants(self) -> list[RunEntry]:
        """Return the variants of the grid, the last key's values fastest; without a grid, the entry itself.

        >>> entry = RunEntry(method="grpo", grid={"train.learning_rate": [0.0001, 0.0003]})
        >>> [each.label for each in entry.variants()]
        ['grpo-0.0001', 'grpo-0.0003']
        """
        if not self.grid:
            return [self]
        made = []
        for values in itertools.product(*self.grid.values()):
            settings = layers.merge(
                self.set, *(nested(key, value) for key, value in zip(self.grid, values, strict=True))
            )
            label = "-".join([self.label or self.method, *(plain(value) for value in values)])
            made.append(self.model_copy(update={"label": label, "set": settings, "grid": {}}))
        return made


def nested(key: str, value: Any) -> dict[str, Any]:
    """Turn ``train.steps`` and 100 into ``{'train': {'steps': 100}}``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def plain(value: Any) -> str:
    """Return a value as a part of a label, which names a directory."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(character if character.isalnum() or character in ".-_=" else "_" for character in text)


class SweepFile(Section):
    """A sweep: variants × seeds on one preset, and how they are evaluated."""

    preset: str = "micro"
    output_dir: str
    seeds: Annotated[list[int], Field(min_length=1)]
    runs: Annotated[list[RunEntry], Field(min_length=1)]
    set: dict[str, Any] = Field(default_factory=dict)
    samples: Annotated[int, Field(ge=1)] = 4
    limit: Annotated[int, Field(ge=1)] | None = None
    base: bool = Field(default=False, description="evaluate the untrained model too, as 'base'")
    planted: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="trajectories with a planted wrong step on which RLSD's blame is measured"
    )


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep: its configuration, its directory, and its commands; () is one that it doesn't need."""

    config: RunConfig
    path: Path
    train: tuple[str, ...]
    evaluate: tuple[str, ...]
    audit: tuple[str, ...]
    blame: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    options: EvalOptions = field(default_factory=EvalOptions)

    @property
    def name(self) -> str:
        """Label and seed; the untrained model has no seed."""
        return f"{self.config.name} seed {self.config.seed}" if self.train else self.config.name


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        UserError: It is missing, or a key is unknown or mistyped.
    """
    try:
        return SweepFile.model_validate(layers.read_yaml(path))
    except ValidationError as error:
        raise UserError(f"{path} is not valid: {layers.explain(error, SweepFile)}") from None


def assignments(tree: dict[str, Any], prefix: str = "") -> list[str]:
    """Flatten a mapping into ``key.sub=value`` texts that `rlsd train --set` reads back."""
    texts = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            texts += assignments(value, f"{prefix}{key}.")
        else:
            text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
            texts.append(f"{prefix}{key}={text.rstrip().removesuffix('...').rstrip()}")
    return texts


def plan(sweep: SweepFile, output_dir: Path | None = None, seeds: list[int] | None = None) -> list[PlannedRun]:
    """Return the runs of a sweep, seed by seed, so that a sweep cut short has whole seeds.

    Args:
        sweep: The sweep.
        output_dir: Instead of the file's.
        seeds: Instead of the file's.

    Raises:
        UserError: A method, preset or key is unknown, two variants have one label, or the output directory is a file.
    """
    base = (output_dir or Path(sweep.output_dir)).absolute()  # another machine's process starts elsewhere
    if base.exists() and not base.is_dir():
        raise UserError(f"{base} is a file: give a directory with --output-dir.")
    entries = [variant for entry in sweep.runs for variant in entry.variants()]
    labels = [entry.label or entry.method for entry in entries]
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if sweep.base and BASE in labels:
        raise UserError(f"'base: true' makes a variant called '{BASE}': give the other one another label.")
    if doubled:
        raise UserError(f"two variants of the sweep are called '{doubled[0]}': give each a label of its own.")
    asked = [seeds or entry.seeds or sweep.seeds for entry in entries]
    runs = [
        plan_run(sweep, entry, label, seed, base)
        for seed in dict.fromkeys(seed for each in asked for seed in each)
        for entry, label, each in zip(entries, labels, asked, strict=True)
        if seed in each
    ]
    return [plan_base(sweep, runs[0].config, base), *runs] if sweep.base else runs


def plan_run(sweep: SweepFile, entry: RunEntry, label: str, seed: int, base: Path) -> PlannedRun:
    """Return one run of a sweep with its configuration resolved."""
    path = base / label / f"seed-{seed}"
    settings = layers.merge(sweep.set, entry.set)
    if entry.label:
        settings = {"label": entry.label, **settings}
    preset = configure.preset_layer(sweep.preset, entry.method)
    config = configure.build([preset, {"method": entry.method, "seed": seed}, settings], f"the run '{label}'")
    sets = [part for text in assignments(settings) for part in ("--set", text)]
    train = (
        *("rlsd", "train", "--preset", sweep.preset, "--method", entry.method, "--seed", str(seed)),
        *sets,
        *("--output-dir", str(path), "--resume"),
    )
    return PlannedRun(
        config=config,
        path=path,
        train=train,
        evaluate=("rlsd", "eval", str(path), *evaluation(sweep, config)),
        audit=("rlsd", "leakage-audit", str(path)),
        blame=measurement(sweep, path) if load_arm(entry.method).blame else (),
        expose=exposure(config, path),
        options=options(sweep),
    )


def plan_base(sweep: SweepFile, like: RunConfig, base: Path) -> PlannedRun:
    """Return the evaluation of the model that a run starts from."""
    path = base / BASE / "seed-0"
    task = like.task.model_dump(exclude_defaults=True)
    sets = [part for text in assignments({"task": task} if task else {}) for part in ("--set", text)]
    return PlannedRun(
        config=RunConfig(method=BASE, task=like.task, model=like.model, train=like.train),
        path=path,
        train=(),
        evaluate=(
            *("rlsd", "eval", "--model", like.model.path, "--output-dir", str(path)),
            *sets,
            *evaluation(sweep, like),
        ),
        audit=(),
        blame=measurement(sweep, path),
        options=options(sweep),
    )


def options(sweep: SweepFile) -> EvalOptions:
    """Return how every run of a sweep is evaluated."""
    return EvalOptions(samples=sweep.samples, limit=sweep.limit)


def evaluation(sweep: SweepFile, config: RunConfig) -> tuple[str, ...]:
    """Return the flags of `rlsd eval`, the same for every run of a sweep."""
    threads = ("--threads", str(config.train.threads)) if config.train.threads else ()
    limit = ("--limit", str(sweep.limit)) if sweep.limit else ()
    return ("--samples", str(sweep.samples), *limit, *threads)


def measurement(sweep: SweepFile, path: Path) -> tuple[str, ...]:
    """Return the command that measures the blame on planted wrong steps, if the sweep asks for it."""
    return ("rlsd", "eval", str(path), "--planted", str(sweep.planted)) if sweep.planted else ()


def exposure(config: RunConfig, path: Path) -> tuple[str, ...]:
    """Return the command that measures the exposure of a run's decoys, where it has enough of them.

    It needs the checkpoints, which a sweep's user may remove afterwards; exposure.parquet is small and stays.
    """
    decoys = config.leakage.decoy_share * config.train.steps * config.train.prompts_per_step
    samples = ("--exposure-samples", str(FOLLOW_SAMPLES))
    return ("rlsd", "leakage-audit", str(path), "--exposure", *samples) if decoys >= DECOYS else ()


def missing(run: PlannedRun) -> list[tuple[str, ...]]:
    """Return the commands of a run that are still to be run, in their order; none of a whole run.

    Raises:
        UserError: The directory holds a run with another configuration.
    """
    run_dir = RunDir(run.path)
    trained = evaluated = False
    if run_dir.config_file.is_file():
        stored = run_dir.config()
        if not (configure.describes(stored, run.config) if run.train else _is_base(stored, run.config)):
            raise UserError(
                f"{run.path} holds a run with another configuration: remove it, or sweep into another --output-dir."
            )
        trained = run_dir.status_file.is_file() and run_dir.status().get("state") == "complete"
        evaluated = is_evaluated(run_dir, run.options, run.config.model.dtype)
    audited = (run_dir.leakage_dir / "report.json").is_file()
    if not trained:
        left = [run.train, run.evaluate, run.audit]
    else:
        left = [] if evaluated and (audited or not run.audit) else [run.evaluate, run.audit]
    if left or not _measured(run):
        left.append(run.blame)
    if not trained or not (run_dir.leakage_dir / "exposure.parquet").is_file():
        left.append(run.expose)
    return [command for command in left if command]


def is_evaluated(run_dir: RunDir, options: EvalOptions, dtype: str) -> bool:
    """Tell whether the final model is evaluated on every suite of its task, as the sweep asks for it."""
    step = run_dir.status().get("step", 0) if run_dir.status_file.is_file() else 0
    summaries = [each.summary for each in evaluations(run_dir) if "suite" in each.summary]
    alike = [each for each in summaries if each.get("checkpoint_step") == step and made_with(each, options, dtype)]
    have = {each["suite"] for each in alike}
    return bool(have) and all(have >= set(each.get("task_suites", have)) for each in alike)


def made_with(summary: Mapping[str, Any], options: EvalOptions, dtype: str) -> bool:
    """Tell whether an evaluation was made as the sweep asks: with the suites' budgets and the run's dtype.

    What an older rlsd did not record is not known to be as asked.
    """
    asked = asdict(options)
    del asked["max_new_tokens"], asked["batch_size"]  # the batch size has another default for benchmarks
    asked |= {"dtype": dtype, "max_new_tokens_from": "suite"}
    return all(summary.get(key, UNKNOWN) == value for key, value in asked.items())


def _is_base(stored: dict[str, Any], config: RunConfig) -> bool:
    """Tell whether a stored configuration is that of the untrained model."""
    own = {"method": BASE, "task": config.task.model_dump(), "model": {"path": config.model.path}}
    return {key: stored.get(key) for key in own} == own


def _measured(run: PlannedRun) -> bool:
    """Tell whether the blame is measured on as many trajectories as asked for."""
    path = RunDir(run.path).credit_dir / "planted.json"
    return not run.blame or (path.is_file() and str(read_object(path).get("n")) == run.blame[-1])
