"""True credit in training: continuations of the rollouts of a step, by whatever samples the rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.arms.tokens import Resampling
from rlsd_cli.generation.continuations import (
    CHUNK,
    Begun,
    StepCredit,
    in_parts,
    resampled_credit,
    step_end,
    steps_of,
)
from rlsd_cli.models.images import PER_TOKEN
from rlsd_cli.training.probe import separate_randomness


class Continuations:
    """Continues a step's rollouts with the trainer's own sampler: our loop, transformers' or vLLM."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def credit(
        self, rows: list[dict[str, Any]], output: dict[str, Any], rewards: list[float], how: Resampling
    ) -> Tensor:
        """Return the advantage of the step of each token, (B, T), in the reward's unit.

        The draws are no part of training's random state: rollouts are those of an arm that resamples nothing.

        Args:
            rows: The questions of this process, one per rollout.
            output: The batch that TRL made of their rollouts.
            rewards: (B,).
            how: Continuations per step, and whose.
        """
        trainer = self.trainer
        ids, mask = output["completion_ids"].cpu(), output["completion_mask"].cpu()
        separator = getattr(trainer.context.task, "step_separator", None)
        steps = steps_of(ids, mask, step_end(trainer._tokenizer, separator, ids), how.most_steps)
        seed = trainer.context.config.seed * 1_000_003 + trainer.state.global_step
        with separate_randomness(seed * 1009 + trainer.accelerator.process_index):
            found = resampled_credit(
                ids,
                mask,
                steps,
                rewards,
                [row["index"] for row in rows],
                go_on=lambda begun, count: self._go_on(rows, begun, count),
                judge=lambda places, completions: self._judge(rows, places, completions),
                continuations=how.continuations,
                rows=None if how.every_row else (output["advantages"] != 0).tolist(),
            )
        self._log(found, mask)
        return found.advantages.to(output["advantages"])

    def _log(self, found: StepCredit, mask: Tensor) -> None:
        gathered = self.trainer.accelerator.gather(
            torch.tensor([found.steps.amax(dim=1).double().mean() + 1, found.prefixes], device=self.trainer.args.device)
        ).view(-1, 2)
        self.trainer._log_number("vine/steps", gathered[:, 0].mean().item())
        self.trainer._log_number("vine/prefixes", gathered[:, 1].sum().item())

    def _judge(
        self, rows: list[dict[str, Any]], places: Sequence[int], completions: Sequence[list[int]]
    ) -> list[float]:
        texts = self.trainer.processing_class.batch_decode(completions, skip_special_tokens=True)
        prompts, answers, names = ([rows[place][key] for place in places] for key in ("prompt", "answer", "prompt_id"))
        return self.trainer.reward.judged(prompts, texts, answers, names)[1]

    def _go_on(self, rows: list[dict[str, Any]], begun: Sequence[Begun], count: int) -> list[list[int]]:
        """Continue; with several processes each makes as many calls of one size, for samplers that work together."""
        trainer, budget = self.trainer, self.trainer.max_completion_length
        most = len(begun)
        if trainer.accelerator.num_processes > 1:
            most = int(trainer.accelerator.gather(torch.tensor([most], device=trainer.args.device)).max())
        filled = [*begun, *[begun[-1] if begun else Begun(0, [])] * (most - len(begun))]
        if not filled:
            return []
        # vLLM schedules by itself, and has each prefix once in its cache.
        size = len(filled) * count if trainer.use_vllm else CHUNK

        def part(some: Sequence[Begun], count: int) -> list[list[int]]:
            repeated = [each for each in some for _ in range(count)]
            prompts = trainer.passes.prompts([rows[each.row] for each in repeated], [None] * len(repeated))
            ids, images, fields = trainer._tokenize_prompts(prompts)
            ids = [[*prompt, *each.tokens] for prompt, each in zip(ids, repeated, strict=True)]
            for name in PER_TOKEN:
                if name in fields:
                    added = ([0] * len(each.tokens) for each in repeated)
                    fields[name] = [[*list(own), *more] for own, more in zip(fields[name], added, strict=True)]
            with self._budget(budget - min(len(each.tokens) for each in some)):
                return trainer._generate_single_turn(ids, images, fields, count)[0]

        return in_parts(filled, count, part, budget, size)[: len(begun) * count]

    @contextmanager
    def _budget(self, tokens: int) -> Iterator[None]:
        """Let the trainer's samplers add at most so many tokens within the block."""
        trainer = self.trainer
        places = [(trainer, "max_completion_length")]
        if trainer.use_vllm:
            places.append((trainer.vllm_generation, "max_completion_length"))
        else:
            places.append((trainer.generation_config, "max_new_tokens"))
        before = [getattr(owner, name) for owner, name in places]
        try:
            for owner, name in places:
                setattr(owner, name, tokens)
            yield
        finally:
            for (owner, name), value in zip(places, before, strict=True):
                setattr(owner, name, value)
