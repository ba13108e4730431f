"""SDPO's trainer."""

from __future__ import annotations

from typing import Any

from accelerate.utils import gather_object

from rlsd_cli.training.distillation import DistillationTrainer


def successful_siblings(completions: list[str], correct: list[bool], group_size: int) -> list[str | None]:
    """Return for each completion the first right one among the others of its group, or None.

    Args:
        completions: Texts; groups side by side.
        correct: Verdicts.
        group_size: Completions per prompt.
    """
    siblings: list[str | None] = []
    for index in range(len(completions)):
        start = index - index % group_size
        others = (i for i in range(start, start + group_size) if i != index and correct[i])
        found = next(others, None)
        siblings.append(None if found is None else completions[found])
    return siblings


class SDPOTrainer(DistillationTrainer):
    """OPSD with siblings as references."""

    def privileged_texts(self, rows: list[dict[str, Any]]) -> list[str | None]:
        """Return a successful sibling of each rollout; a group may lie on several processes."""
        completions = gather_object(self._rollouts["completion"])
        correct = gather_object(self._rollouts["correct"])
        siblings = successful_siblings(completions, correct, self.num_generations)
        start = self.accelerator.process_index * len(rows)
        mine = siblings[start : start + len(rows)]
        self._metrics["train"]["sdpo/with_sibling"].append(sum(text is not None for text in siblings) / len(siblings))
        return mine
