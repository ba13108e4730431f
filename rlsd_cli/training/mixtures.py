"""Several privileged texts at once: the teacher of a view as a mixture over the texts that it is shown.

    P_T(· | x, y_<t) = Σ_k ω_k · P(· | x, r_k, y_<t)

with the weights of ``teacher.references`` over the sum of those that the question has. Each text stands in a prompt of
its own, with one pass each. With one text nothing is mixed, and the pass is the plain one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.arms import View
from rlsd_cli.arms.rollouts import Rollouts, Source, texts_of
from rlsd_cli.config.run import WeightedReference
from rlsd_cli.training.passes import TeacherPasses

BETWEEN = "~"  # a view's name and its part's


def view_of(part: str) -> str:
    """Return the view that a part belongs to."""
    return part.partition(BETWEEN)[0]


def parts_of(
    views: Mapping[str, View], references: list[WeightedReference] | None
) -> dict[str, dict[str, tuple[Source, float]]]:
    """Return by view its parts: by name what each shows, and its weight. A view of one text is its own part."""
    several = references if references and len(references) > 1 else []
    return {
        name: {f"{name}{BETWEEN}{each.kind}": (each.kind, each.weight) for each in several}
        if several and view.source == "reference"
        else {name: (view.source, 1.0)}
        for name, view in views.items()
    }


class Mixtures:
    """The teachers' passes of a run, mixed where a view shows several texts."""

    def __init__(self, passes: TeacherPasses, references: list[WeightedReference] | None) -> None:
        self.passes, self.references = passes, references

    @property
    def parts(self) -> dict[str, dict[str, tuple[Source, float]]]:
        """By view of the trainer, its parts (`parts_of`)."""
        return parts_of(self.passes.trainer.views, self.references)

    def shown(self, view: str, rollouts: Rollouts) -> dict[str, list[str | None]]:
        """Return by part the text of each rollout, None where it has none."""
        return {part: texts_of(source, rollouts) for part, (source, _) in self.parts[view].items()}

    def prepare(
        self, view: str, rows: list[dict[str, Any]], texts: Mapping[str, list[str | None]], output: dict[str, Any]
    ) -> None:
        """Add the prompts of a view's parts to the batch, and ``V_present``: whether the row has one of the texts."""
        for part, own in texts.items():
            self.passes.prepare(part, rows, own, output)
        output[f"{view}_present"] = torch.stack([output[f"{part}_present"] for part in texts]).any(dim=0)

    def log_weights(self, view: str, batch: dict[str, Any]) -> Tensor:
        """Return log ω, (B, K), over the texts that the row has; a row without any has no teacher, and any weights."""
        parts = self.parts[view]
        there = torch.stack([batch[f"{part}_present"] for part in parts], dim=1)
        weights = torch.tensor([weight for _, weight in parts.values()], device=there.device)
        return torch.where(there | ~there.any(dim=1, keepdim=True), weights, 0.0).log().log_softmax(dim=1)

    def logps(self, view: str, batch: dict[str, Any]) -> Tensor:
        """Return the teacher's log-probs of the sampled tokens, (B, T)."""
        own = [self.passes.logps(part, batch) for part in self.parts[view]]
        if len(own) == 1:
            return own[0]
        return (torch.stack(own, dim=2) + self.log_weights(view, batch).unsqueeze(1)).logsumexp(dim=2)

    def hidden(self, view: str, batch: dict[str, Any]) -> Tensor:
        """Return what `logits` needs of each token: the hidden states (B, T, H'), of K texts (B, T, K·H' + K)."""
        own = [self.passes.hidden(part, batch) for part in self.parts[view]]
        if len(own) == 1:
            return own[0]
        weights = self.log_weights(view, batch).to(own[0].dtype)
        return torch.cat([*own, weights.unsqueeze(1).expand(-1, own[0].size(1), -1)], dim=2)

    def logits(self, view: str, head: Callable[[Tensor], Tensor], rows: Tensor, temperature: float) -> Tensor:
        """Return the teacher's logits over the temperature, (n, V), of rows of `hidden`; mixed ones are log-probs."""
        count = len(self.parts[view])
        if count == 1:
            return head(rows) / temperature
        width = rows.size(1) // count - 1  # K·H' + K columns
        states, weights = rows[:, : count * width], rows[:, count * width :]
        each = [
            torch.log_softmax(head(state) / temperature, dim=-1) + weights[:, k : k + 1]
            for k, state in enumerate(states.split(width, dim=1))
        ]
        return torch.stack(each).logsumexp(dim=0)
