"""Planted self-check: mentions injected at known rates into clean completions must be recovered by the whole audit.

Decoys (everyday uses of the same words) are planted into half of the other
completions, so a detector that counts words fails as well as one that misses them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import Options, audit
from rlsd_cli.leakage.detect import examine
from rlsd_cli.leakage.inputs import Completion, Source
from rlsd_cli.statistics import Interval, wilson_interval
from rlsd_cli.tasks.arithmetic import VOCABULARY, ArithmeticTask

RATES = (0.0, 0.01, 0.05, 0.2, 0.5)
COMPLETIONS = 2000  # per rate
SENTENCES = 8  # of a built-in prose completion


@dataclass(frozen=True)
class Recovery:
    """One planted rate and what the audit found."""

    n: int
    planted: int
    recovered: int

    @property
    def interval(self) -> Interval:
        """The recovered rate with its 95 % Wilson interval."""
        return wilson_interval(self.recovered, self.n)

    @property
    def passed(self) -> bool:
        """Whether the interval covers the planted rate; at rate 0 nothing may be found."""
        interval = self.interval
        return interval.low <= self.planted / self.n <= interval.high and (self.planted > 0 or self.recovered == 0)


@cache
def plants() -> dict[str, list[str]]:
    """Load the sentences that are planted."""
    loaded: dict[str, list[str]] = yaml.safe_load(files(__package__).joinpath("plants.yaml").read_text("utf-8"))
    return loaded


def built_in(count: int, seed: int) -> list[Completion]:
    """Return clean completions that need no input: solutions of the testbed and prose, in turn."""
    task = ArithmeticTask()
    made = []
    for index in range(count):
        rng = random.Random(f"self-check-{seed}-{index}")
        example = task.train_example(seed, index)
        text = example.solution if index % 2 else " ".join(rng.choices(plants()["clean"], k=SENTENCES))
        prompt = example.prompt if index % 2 else "Solve the problem."
        made.append(Completion(text, prompt, "", None, "built-in", index + 1))
    return made


def clean(source: Source, count: int) -> list[Completion]:
    """Return the first completions of a source in which no rule matches at all.

    Raises:
        UserError: There is none.
    """
    found = []
    for item in source.read():
        if isinstance(item, Completion) and item.text.strip() and not examine(item.text, item.prompt):
            found.append(replace(item, answer="", step=None))
            if len(found) == count:
                break
    if not found:
        raise UserError(f"{source.name} has no completion without a match: give other completions, or none.")
    return found


def plant(text: str, sentence: str, rng: random.Random) -> str:
    """Insert a sentence at a random boundary: after a full stop, or after ``;`` in the testbed's language.

    >>> plant("One. Two.", "Three.", random.Random(1))
    'Three. One. Two.'
    """
    stop = " ; " if is_testbed(text) else ". "
    places = [0, *(place + len(stop) for place in range(len(text)) if text.startswith(stop, place))]
    if stop == ". ":
        places.append(len(text))
    place = rng.choice(places)
    before, after = text[:place], text[place:]
    return f"{before}{'' if not before or before.endswith(' ') else ' '}{sentence}{' ' if after else ''}{after}"


def is_testbed(text: str) -> bool:
    """Tell whether a text has no other words than the embedded testbed's."""
    return set(text.split()) <= set(VOCABULARY)


def planted(completions: list[Completion], rate: float, seed: int) -> tuple[list[Completion], int]:
    """Plant mentions into a share of the completions and decoys into half of the others.

    Returns:
        The completions, and how many hold a mention (the nearest whole number to the rate).
    """
    rng = random.Random(f"plant-{seed}-{rate}")
    chosen = set(rng.sample(range(len(completions)), round(rate * len(completions))))
    made = []
    for index, completion in enumerate(completions):
        kind = "mentions" if index in chosen else "decoys" if rng.random() < 0.5 else ""
        text = completion.text
        if kind:
            text = plant(text, rng.choice(plants()["testbed_" * is_testbed(text) + kind]), rng)
        made.append(replace(completion, text=text))
    return made, len(chosen)


def self_check(source: Source | None = None, count: int = COMPLETIONS, seed: int = 0) -> list[Recovery]:
    """Plant mentions at each of `RATES` and audit the result.

    Args:
        source: Where clean completions come from; None: built-in ones.
        count: Completions per rate, or fewer if the source has no more.
        seed: Seed of what is planted where.

    Raises:
        UserError: The source has no clean completion.
    """
    completions = clean(source, count) if source else built_in(count, seed)
    recoveries = []
    for rate in RATES:
        made, mentions = planted(completions, rate, seed)

        def read(made: list[Completion] = made) -> Iterator[Completion]:
            return iter(made)

        with TemporaryDirectory() as directory:
            report = audit(
                Source("self-check", "self-check", 1, Path(directory), read), Path(directory), Options(shown=0)
            )
        recoveries.append(Recovery(len(made), mentions, report["hits"]))
    return recoveries
