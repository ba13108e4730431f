"""The trainer of the positive control: GRPO whose advantages are those of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.generation.continuations import resampled_credit
from rlsd_cli.generation.sample import Samples
from rlsd_cli.training.trainer import ArmTrainer


def bounded(advantage: Tensor, credit: Tensor, mask: Tensor, epsilon_w: float) -> Tensor:
    """Return A·clip(w, 1−ε_w, 1+ε_w) with w = credit/(sign(A)·mean |credit|), (B, T).

    Args:
        advantage: (B,) GRPO's A.
        credit: (B, T) the true advantage of the step of each token.
        mask: (B, T), 1 on completion tokens.
        epsilon_w: ε_w.
    """
    size = ((credit.abs() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).clamp(min=1e-6)
    weight = credit * advantage.sign().unsqueeze(1) / size.unsqueeze(1)
    return advantage.unsqueeze(1) * weight.clamp(1 - epsilon_w, 1 + epsilon_w) * mask


class TrueCreditTrainer(ArmTrainer):
    """GRPO with resampled credit in the place of the completions' advantages."""

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        task = self.context.task
        options: Any = self.options

        def judge(places: Sequence[int], completions: Sequence[str]) -> list[float]:
            verdicts = [
                task.verify(text, inputs[place]["answer"], inputs[place]["prompt_id"])
                for place, text in zip(places, completions, strict=True)
            ]
            return [task.reward(text, verdict) for text, verdict in zip(completions, verdicts, strict=True)]

        texts = self._tokenizer.batch_decode(output["completion_ids"], skip_special_tokens=True)
        samples = Samples(
            output["prompt_ids"],
            output["prompt_mask"],
            output["completion_ids"],
            output["completion_mask"],
            texts=texts,
            truncated=[],
        )
        found = resampled_credit(
            self.accelerator.unwrap_model(self.model),
            self._tokenizer,
            samples,
            torch.tensor(judge(range(len(texts)), texts)),
            judge,
            separators=[self._tokenizer.convert_tokens_to_ids(";")],
            continuations=options.continuations,
            max_new_tokens=self.max_completion_length,
            temperature=self.temperature,
        )
        credit = found.advantages.to(output["advantages"])
        if options.epsilon_w is not None:
            credit = bounded(output["advantages"], credit, output["completion_mask"], options.epsilon_w)
        output["advantages"] = credit
        return output
