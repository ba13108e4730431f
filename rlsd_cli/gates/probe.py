"""The gates for any model, task and arm, before money is spent: what can be true or false there (docs/probe.md)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import gcd
from pathlib import Path
from typing import Any

import torch

from rlsd_cli.arms import load_arm
from rlsd_cli.config.run import RunConfig
from rlsd_cli.gates.base import Measured
from rlsd_cli.gates.behaviour import HELD_OUT, KINDS, read_references
from rlsd_cli.gates.directions import Directions, directions
from rlsd_cli.gates.floor import measure_floor
from rlsd_cli.gates.updates import BatchUpdates, compare_updates, sees_a_reference
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.base import Task
from rlsd_cli.tasks.load import task_of


@dataclass(frozen=True)
class Plan:
    """How much is asked.

    Attributes:
        questions: Held-out questions.
        seeds: Completions of each question and kind of prompt, and batches on which updates are compared.
        prompts: Questions of a batch at most; the configuration's own number where that is less.
        continuations: From each step, for the true credit's direction; 0 leaves it out.
        seed: Of the sampling.
    """

    questions: int = 32
    seeds: int = 1
    prompts: int = 4
    continuations: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Probed:
    """What was measured of a model, a task and an arm.

    Attributes:
        measured: What it does with references, and, on the testbed, floor and directions.
        updates: One per seed.
        why: By ``updates``, ``placebo``: why it was not measured.
        kind: The kind of reference that the arm's teacher sees.
    """

    measured: Measured
    updates: Sequence[BatchUpdates]
    kind: str
    why: Mapping[str, str] = field(default_factory=dict)

    def mean(self, name: str, key: str) -> float | None:
        """Return the mean over batches of ``cosine``, ``ratio`` or ``increment`` of an update; None where unknown."""
        found = [getattr(each, name).get(key) for each in self.updates]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if known else None

    def share(self, update: str, kind: str) -> float | None:
        """Return the mean share of an update's load on a kind of token."""
        found = [shares[kind] for each in self.updates if (shares := each.shares.get(update)) is not None]
        return sum(found) / len(found) if found else None

    def as_json(self) -> dict[str, Any]:
        """Return the numbers; null where one was not measured."""
        rows = self.measured.behaviour.rows
        shown: dict[str, Any] = {}
        for name, row in rows.items():
            known = {"right": "right", "cites": "cites"} | ({"follows": "followed"} if row.followed is not None else {})
            intervals = {key: row.share(what)._asdict() for key, what in known.items()} if row.n else {}
            gain = self.measured.behaviour.gain(name)._asdict() if row.n and name != "closed" else None
            shown[name] = {"n": row.n, **intervals, "right_minus_closed": gain}
        return {
            "reference": self.kind,
            "behaviour": shown,
            "own_wrong_references": self.measured.behaviour.own,
            "floor": self.measured.as_json()["floor"],
            "directions": self.measured.as_json()["directions"],
            "updates": [asdict(each) for each in self.updates],
            "not_measured": dict(self.why),
        }


def small(config: RunConfig, plan: Plan) -> RunConfig:
    """Return the configuration with a batch that a probe can afford, sampled by transformers."""
    train = config.train
    prompts = min(plan.prompts, train.prompts_per_step)
    micro = train.micro_batch and gcd(train.micro_batch, prompts * train.group_size)
    changed = train.model_copy(update={"prompts_per_step": prompts, "micro_batch": micro, "steps": plan.seeds})
    rollout = config.rollout.model_copy(update={"engine": "transformers"})
    log = config.log.model_copy(update={"report_to": "none"})
    return config.model_copy(update={"train": changed, "rollout": rollout, "log": log, "seed": plan.seed})


def probe(config: RunConfig, plan: Plan, told: Callable[[str], None] = lambda stage: None) -> Probed:
    """Measure a configuration: its model before training, on its task, with its arm.

    Args:
        config: As for training.
        plan: How much is asked.
        told: Called with each stage before it begins.

    Raises:
        UserError: The model, the task or the arm's teacher can't be used.
    """
    from rlsd_cli.training.run import build_trainer

    config, arm = small(config, plan), load_arm(config.method)
    told("loading")
    with tempfile.TemporaryDirectory() as folder:
        trainer, _ = build_trainer(config, RunDir(Path(folder)), lambda record: None)
        task: Task = trainer.context.task if hasattr(trainer, "context") else task_of(config)
        processing = trainer.processing_class
        model = trainer.accelerator.unwrap_model(trainer.model)
        why: dict[str, str] = {}
        updates: list[BatchUpdates] = []
        if arm.data == "off-policy":
            why["updates"] = f"{arm.name} learns solutions and samples no rollouts"
        elif arm.name == "grpo":
            why["updates"] = "grpo is what the others are compared with"
        else:
            rows = iter(trainer.get_train_dataloader())
            for number in range(plan.seeds):
                told(f"update {number + 1}")
                updates.append(compare_updates(trainer, next(rows)))
            if all(each.cosine["arm"] is None for each in updates):
                why["updates"] = "no question of a batch has both right and wrong rollouts, so GRPO has no gradient"
            if not sees_a_reference(trainer.views):
                why["placebo"] = f"{arm.name}'s teacher sees no reference" if trainer.views else "there is no teacher"
        torch.manual_seed(plan.seed)
        examples = [task.train_example(HELD_OUT, index) for index in range(plan.questions)]
        model.eval()
        behaviour = read_references(
            model,
            processing,
            task,
            examples,
            config.train.temperature,
            kinds=KINDS,
            max_new_tokens=config.train.max_completion_tokens,
            samples=plan.seeds,
            told=told,
        )
        floor, ways = on_the_testbed(model, processing, task, config, plan, told)
    return Probed(Measured(behaviour, floor, ways), updates, config.teacher.reference, why)


def on_the_testbed(
    model: Any, tokenizer: Any, task: Task, config: RunConfig, plan: Plan, told: Callable[[str], None]
) -> tuple[Any, Directions | None]:
    """Return floor and directions, which need to know of a question all its references and which tokens decide."""
    if not isinstance(task, ArithmeticTask):
        return None, None
    told("floor")
    floor = measure_floor(model, tokenizer, task, questions=max(2, plan.questions // 5), seed=plan.seed)
    told("directions")
    size = {"prompts": 8, "group_size": config.train.group_size, "continuations": plan.continuations}
    return floor, directions(model, tokenizer, task, batches=max(2, plan.seeds), seed=plan.seed, **size)
