"""An arm's update beside GRPO's on one batch, by the arm's own trainer and loss: direction, length, on which tokens.

The same batch, with what the arm's teachers see replaced by wrong references and by another question's, tells what the
content of the reference does to the update.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl.trainer.utils import split_pixel_values_by_grid, split_tensor_dict, unsplit_pixel_values_by_grid

from rlsd_cli.arms import Arm, View, load_arm
from rlsd_cli.arms.rollouts import Rollouts, texts_of
from rlsd_cli.gates.kinds import KINDS, kinds_of
from rlsd_cli.leakage.decoys import draw, with_answer
from rlsd_cli.tasks.messages import as_text
from rlsd_cli.training.data import REFERENCE_KINDS
from rlsd_cli.training.head import last_hidden_states

SHOWN = ("reference", *REFERENCE_KINDS)  # sources of views that show a reference, for which there is a placebo
PLACEBOS = ("wrong", "other")


@dataclass(frozen=True)
class Update:
    """One gradient on one batch.

    Attributes:
        gradient: (P,) float32, on the CPU.
        load: By kind of token, the sum over tokens of the norm of the loss's gradient at the token's last hidden state.
    """

    gradient: Tensor
    load: Mapping[str, float]

    def share(self) -> dict[str, float] | None:
        """Return the load by kind as shares of all; None where there is none."""
        total = sum(self.load.values())
        return {kind: self.load.get(kind, 0.0) / total for kind in KINDS} if total else None


@dataclass(frozen=True)
class BatchUpdates:
    """What one batch says; None where it says nothing.

    Attributes:
        tokens: Share of the tokens by kind.
        shares: By ``grpo``, ``arm``, ``wrong``, ``other``: share of the load by kind.
        cosine: With GRPO's gradient, by ``arm``, ``wrong``, ``other``.
        ratio: Norm over that of GRPO's, likewise.
        increment: By ``wrong``, ``other``: cosine of (arm − GRPO) with its own reference and with the placebo.
    """

    tokens: dict[str, float]
    shares: dict[str, dict[str, float] | None]
    cosine: dict[str, float | None]
    ratio: dict[str, float | None]
    increment: dict[str, float | None]


@contextmanager
def acting_as(trainer: Any, arm: Arm) -> Iterator[None]:
    """Let the trainer's loss be another arm's within the block, by plain passes; what it logs is thrown away."""
    own, trainer.arm, trainer.plain_passes = trainer.arm, arm, True
    try:
        yield
    finally:
        trainer.arm, trainer.plain_passes = own, False
        trainer.means.totals.clear()


def gradient_of(trainer: Any, parts: Sequence[dict[str, Any]], kinds: Sequence[Sequence[str]], arm: Arm) -> Update:
    """Return an arm's gradient on a batch in micro-batches; ``kinds`` has those of each completion's tokens."""
    student = trainer.accelerator.unwrap_model(trainer.model)
    trainer.model.zero_grad(set_to_none=True)
    load: Counter[str] = Counter()
    row = 0
    with acting_as(trainer, arm):
        for part in parts:
            with last_hidden_states(student) as captured:
                loss = trainer._compute_loss(trainer.model, part)
            states = [each for each in captured if each.requires_grad]
            for each in states:
                each.retain_grad()
            loss.backward()
            width = part["completion_ids"].size(1)
            norms = [each.grad[:, -width - 1 : -1].float().norm(dim=-1) for each in states if each.grad is not None]
            for values in torch.cat(norms).tolist() if norms else ():
                for kind, value in zip(kinds[row], values, strict=False):
                    load[kind] += value
                row += 1
    weights = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    flat = [torch.zeros_like(each) if each.grad is None else each.grad for each in weights]
    gradient = torch.cat([each.detach().float().flatten().cpu() for each in flat])
    trainer.model.zero_grad(set_to_none=True)
    return Update(gradient, load)


def placebo_texts(trainer: Any, rows: list[dict[str, Any]], name: str) -> list[str | None]:
    """Return the placebo of each rollout: ``wrong``, a wrong sibling's answer or text, else a decoy; or ``other``."""
    record, kind = trainer.reward.record, trainer.context.config.teacher.reference
    rollouts = Rollouts(
        **{key: record[key] for key in ("prompt_id", "completion", "correct", "extracted")},
        references={each: [row[each] for row in rows] for each in REFERENCE_KINDS},
        kind=kind,
        group_size=trainer.num_generations,
    )
    texts = texts_of(name, rollouts)
    if name == "other":
        return texts
    pool = [row["answer"] for row in rows]
    for place, row in enumerate(rows):
        if texts[place] is None and row[kind]:
            drawn = draw(0, row["prompt_id"], row["answer"], pool, as_text(row["prompt"]))
            if drawn:
                texts[place] = drawn.seen if kind == "answer" else with_answer(row[kind], row["answer"], drawn.seen)
    return texts


def in_micro_batches(trainer: Any, batch: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a batch as TRL cuts it for the passes of a step, not shuffled."""
    parts = split_tensor_dict(split_pixel_values_by_grid(dict(batch)), trainer.args.steps_per_generation)
    return [unsplit_pixel_values_by_grid(part) for part in parts]


def compare_updates(trainer: Any, rows: list[dict[str, Any]]) -> BatchUpdates:
    """Sample rollouts of questions (one row per rollout) and compare gradients on them."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation
    batch = trainer._generate_and_score_completions(rows)
    prompts = trainer.reward.record["prompt"]
    ids = [
        row[kept.bool()].tolist() for row, kept in zip(batch["completion_ids"], batch["completion_mask"], strict=True)
    ]
    kinds = [kinds_of(trainer._tokenizer, each, prompt) for each, prompt in zip(ids, prompts, strict=True)]
    tokens = Counter(kind for each in kinds for kind in each)
    grpo = gradient_of(trainer, in_micro_batches(trainer, batch), kinds, load_arm("grpo"))
    updates = {"arm": gradient_of(trainer, in_micro_batches(trainer, batch), kinds, trainer.arm)}
    shown = {name: view for name, view in trainer.views.items() if view.source in SHOWN}
    for placebo in PLACEBOS if shown else ():
        other = dict(batch)
        texts = placebo_texts(trainer, rows, placebo)
        if not any(texts):
            continue
        for name in shown:
            trainer.passes.prepare(name, rows, texts, other)
        updates[placebo] = gradient_of(trainer, in_micro_batches(trainer, other), kinds, trainer.arm)
    own = updates["arm"].gradient - grpo.gradient
    return BatchUpdates(
        {kind: tokens[kind] / max(tokens.total(), 1) for kind in KINDS},
        {"grpo": grpo.share()} | {name: update.share() for name, update in updates.items()},
        {name: cosine(update.gradient, grpo.gradient) for name, update in updates.items()},
        {name: ratio(update.gradient, grpo.gradient) for name, update in updates.items()},
        {name: cosine(updates[name].gradient - grpo.gradient, own) for name in PLACEBOS if name in updates},
    )


def cosine(one: Tensor, other: Tensor) -> float | None:
    """Return the cosine of two gradients; None where one of them is zero."""
    norms = (one.double().norm() * other.double().norm()).item()
    return (one.double() @ other.double()).item() / norms if norms else None


def ratio(one: Tensor, other: Tensor) -> float | None:
    """Return the ratio of two norms; None where the second is zero."""
    below = other.double().norm().item()
    return one.double().norm().item() / below if below else None


def sees_a_reference(views: Mapping[str, View]) -> bool:
    """Tell whether a teacher sees a reference, so that there is a placebo for it."""
    return any(view.source in SHOWN for view in views.values())
