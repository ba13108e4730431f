"""Which runs are seeds of the same thing, and what can't be compared with what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlsd_cli.config.run import BASE
from rlsd_cli.report.cards import Card
from rlsd_cli.report.gates import GatesFile
from rlsd_cli.report.runs import Run

# They decide where and how fast a run goes, not what it computes.
NOT_SETTINGS = (
    "method",
    "label",
    "seed",
    "log",
    "train.threads",
    "train.save_every",
    "train.keep_checkpoints",
    "train.micro_batch",
    "train.gradient_checkpointing",
)
# What makes an arm that arm; it may differ between arms.
OF_THE_ARM = ("objective", "teacher")


@dataclass(frozen=True)
class Variant:
    """The runs of one label with one set of settings, ordered by seed, a seed once."""

    label: str
    runs: tuple[Run, ...]

    @property
    def method(self) -> str:
        """The arm."""
        return self.runs[0].method

    @property
    def arm(self) -> Card:
        """What is known of the arm."""
        return self.runs[0].arm

    @property
    def seeds(self) -> tuple[int, ...]:
        """The training seeds, ascending."""
        return tuple(run.seed for run in self.runs)

    @property
    def trained(self) -> bool:
        """Whether it is an arm; otherwise it is the model that all start from, which has no seeds."""
        return self.method != BASE

    @property
    def complete(self) -> bool:
        """Whether all its runs are finished."""
        return all(run.complete for run in self.runs)

    def option(self, key: str, default: Any = None) -> Any:
        """Return a setting by dotted key, such as ``objective.support``."""
        return settings(self.runs[0].config).get(key, default)


@dataclass
class Comparison:
    """The variants of a set of runs by label, what was noticed while sorting them, and the gates of their bases."""

    variants: dict[str, Variant]
    notes: list[str] = field(default_factory=list)
    gates: dict[str, GatesFile] = field(default_factory=dict)  # of the bases, by base

    def of_method(self, *methods: str) -> list[Variant]:
        """Return the variants of the given arms, in the order of the arms."""
        return [variant for method in methods for variant in self.variants.values() if variant.method == method]

    @property
    def arms(self) -> list[Variant]:
        """The variants that were trained."""
        return [variant for variant in self.variants.values() if variant.trained]

    def main(self, method: str) -> Variant | None:
        """Return the variant that stands for an arm: the one labelled like it, otherwise the only one, or none."""
        if method in self.variants and self.variants[method].method == method:
            return self.variants[method]
        candidates = self.of_method(method)
        return candidates[0] if len(candidates) == 1 else None


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a run, as dotted keys; the seed and where and how fast it runs are left out."""
    flat: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if key in NOT_SETTINGS:
            return
        if isinstance(value, Mapping):
            for name, item in value.items():
                walk(item, f"{key}.{name}" if key else str(name))
        else:
            flat[key] = value

    walk(config, "")
    return flat


def differing(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values are not the same in all the given settings, sorted."""
    given = list(configs)
    keys = sorted({key for config in given for key in config})
    return [key for key in keys if len({repr(config.get(key)) for config in given}) > 1]


def compare(runs: Iterable[Run]) -> Comparison:
    """Sort runs into variants; whatever can't be averaged is set apart or left out, and named.

    - Runs of one label with different settings are split: the settings with most runs keep the label, the
      others carry what differs in their name.
    - Of two runs with one label, settings and seed, the one that got further is kept.
    - Unfinished runs are left out where the variant has finished ones, otherwise used and named.
    """
    notes: list[str] = []
    by_label: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        by_label[run.label, run.method].append(run)
    variants: dict[str, Variant] = {}
    for (label, method), members in sorted(by_label.items()):
        # Two arms under one label are two things.
        name = label if sum(other == label for other, _ in by_label) == 1 else f"{label} [{method}]"
        for each in _split(name, members, notes):
            kept = _finished(each.label, _one_per_seed(each.label, list(each.runs), notes), notes)
            variants[each.label] = Variant(each.label, tuple(sorted(kept, key=lambda run: run.seed)))
    notes += _mixed(list(variants.values()))
    return Comparison(variants, notes)


def _split(label: str, members: list[Run], notes: list[str]) -> list[Variant]:
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in members:
        groups[repr(sorted(settings(run.config).items(), key=str))].append(run)
    if len(groups) == 1:
        return [Variant(label, tuple(members))]
    ordered = sorted(groups.values(), key=lambda group: (-len(group), str(group[0].path)))
    keys = differing(settings(group[0].config) for group in ordered)
    variants = [Variant(label, tuple(ordered[0]))]
    ends = [key.split(".")[-1] for key in keys]
    short = {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}
    for group in ordered[1:]:
        values = settings(group[0].config)
        name = f"{label} ({', '.join(f'{short[key]}={values.get(key)}' for key in keys)})"
        variants.append(Variant(name, tuple(group)))
    notes.append(
        f"runs labelled '{label}' differ in {', '.join(keys)}: they are not averaged but shown as "
        + " and ".join(f"'{variant.label}'" for variant in variants)
    )
    return variants


def _one_per_seed(label: str, runs: list[Run], notes: list[str]) -> list[Run]:
    by_seed: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        by_seed[run.seed].append(run)
    kept = []
    for seed, same in by_seed.items():
        best = sorted(same, key=lambda run: (not run.complete, -run.step, str(run.path)))
        kept.append(best[0])
        notes.extend(
            f"{run.path} is left out: '{label}' has seed {seed} already, in {best[0].path}" for run in best[1:]
        )
    return kept


def _finished(label: str, runs: list[Run], notes: list[str]) -> list[Run]:
    done = [run for run in runs if run.complete]
    for run in runs:
        if not run.complete:
            fate = "is left out" if done else "is shown, and no claim is judged on it"
            notes.append(f"{run.path} ('{label}', seed {run.seed}) ended at step {run.step} of {run.steps} and {fate}")
    return done or runs


def _mixed(variants: list[Variant]) -> list[str]:
    """Name the settings, other than those of the arm itself, in which the variants differ.

    An untrained model has only a model and a task.
    """
    found = {variant.label: settings(variant.runs[0].config) for variant in variants}
    untrained = [variant.label for variant in variants if not variant.trained]
    common = {label: {key for values in found.values() for key in values} for label in found}
    common |= {label: set(found[label]) for label in untrained}
    notes = []
    for key in sorted({key for keys in common.values() for key in keys}):
        if key.split(".")[0] in OF_THE_ARM:
            continue
        by_value: dict[str, list[str]] = defaultdict(list)
        for label, values in found.items():
            if key in common[label]:
                by_value[str(values.get(key))].append(label)
        if len(by_value) == 1:
            continue
        parts = [f"{value} ({', '.join(labels)})" for value, labels in by_value.items()]
        notes.append(f"the variants compared differ in {key}: {'; '.join(parts)}")
    return notes
