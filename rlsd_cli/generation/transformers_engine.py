"""The engine on transformers, on the accelerator if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rlsd_cli.config.run import ModelConfig
from rlsd_cli.generation.engine import Completion, EngineName, EngineOptions
from rlsd_cli.generation.sample import sample
from rlsd_cli.generation.sampling import Sampling
from rlsd_cli.models.images import require_vision
from rlsd_cli.models.limits import check_chat, check_variables
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.models.processors import takes_images
from rlsd_cli.tasks.messages import images_of
from rlsd_cli.verifiers.reasoning import template_opening


class TransformersEngine:
    """A model of any kind that `load_model` knows, sampled in batches."""

    name: EngineName = "transformers"

    def __init__(self, source: str, options: EngineOptions) -> None:
        self.source, self.batch_size = source, options.batch_size
        model = load_model(ModelConfig.model_validate({"path": source, "dtype": options.dtype}))
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        self.model = (model.to(device) if device else model).eval()
        self.processing = load_tokenizer(source)
        self.variables = dict(options.variables)
        check_variables(self.processing, self.variables, source)
        self.opening = template_opening(self.processing, self.variables)

    @property
    def template(self) -> str | None:
        """The chat template; None where there is none."""
        return getattr(self.processing, "chat_template", None)

    def check(self, prompts: Sequence[Any]) -> None:
        """Refuse prompts that the model can't read.

        Raises:
            UserError: It has no chat template, or reads text only.
        """
        for prompt in prompts:
            check_chat(self.processing, prompt, self.source)
            require_vision(takes_images(self.processing), images_of(prompt), self.source)

    def complete(
        self, prompts: Sequence[Any], *, samples: int, max_new_tokens: int, sampling: Sampling, greedy: bool, seed: int
    ) -> list[list[Completion]]:
        """Return ``samples`` completions of each prompt (`Engine.complete`)."""
        self.check(prompts)
        torch.manual_seed(seed)
        queue = [prompt for prompt in prompts for _ in range(samples)]
        found: list[Completion] = []
        for start in range(0, len(queue), self.batch_size):
            result = sample(
                self.model,
                self.processing,
                queue[start : start + self.batch_size],
                max_new_tokens=max_new_tokens,
                sampling=sampling,
                greedy=greedy,
                variables=self.variables,
            )
            lengths = result.completion_mask.sum(dim=1).tolist()
            found += map(Completion, result.texts, lengths, result.truncated)
        return [found[start : start + samples] for start in range(0, len(found), samples)]
