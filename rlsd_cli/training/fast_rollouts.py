"""Rollouts of text by our own decoding loop, where TRL would call `generate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.utils import pad

from rlsd_cli.generation.loop import decodable, decode
from rlsd_cli.generation.sampling import Sampling, processors
from rlsd_cli.models.limits import check_context

# TRL's own settings of `generate`; with any other in place, or another value, `generate` does the work.
_NEUTRAL = {"do_sample": True, "top_p": 1.0, "top_k": 0, "min_p": None, "repetition_penalty": 1.0}
_KNOWN = {*_NEUTRAL, "max_new_tokens", "pad_token_id", "bos_token_id", "eos_token_id", "temperature"}


def samples_plainly(settings: dict[str, Any]) -> bool:
    """Return whether the settings of `generate` ask for temperature sampling from the whole softmax."""
    others = [name for name, value in settings.items() if name not in _KNOWN and value is not None]
    return not others and all(settings.get(name, value) == value for name, value in _NEUTRAL.items())


class FastRolloutsMixin:
    """Put before GRPOTrainer; images, tools, vLLM, sharded models and filtered sampling stay with TRL."""

    def _generate_single_turn(
        self: Any,
        prompt_ids: list[list[int]],
        images: Any,
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], Any]:
        model = self.accelerator.unwrap_model(self.model)
        check_context(model, max(len(row) for row in prompt_ids), self.max_completion_length)
        completions = self._own_loop(prompt_ids, images, multimodal_fields)
        if completions is not None:
            return completions, None
        with penalising(model, self.context.config.rollout.presence_penalty if not self.use_vllm else 0.0):
            result = super()._generate_single_turn(  # type: ignore[misc]
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        if images is not None:
            # TRL marks a question without pictures by None, which processors refuse beside questions with some.
            images[:] = [group or [] for group in images]
        return result

    def _own_loop(
        self: Any, prompt_ids: list[list[int]], images: Any, multimodal_fields: dict[str, Any]
    ) -> list[list[int]] | None:
        """Return completions, or None where TRL has to make them."""
        plain = not (self.use_vllm or self.use_transformers_continuous_batching or self.tools)
        alone = not (self.is_deepspeed_enabled or self.is_fsdp_enabled)
        text = images is None and not multimodal_fields
        if not (plain and alone and text and samples_plainly(self.generation_kwargs)):
            return None
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            if not decodable(model):
                return None
            tensors = [torch.tensor(ids) for ids in prompt_ids]

            def padded(rows: list[Tensor], value: int) -> Tensor:
                return pad(rows, padding_value=value, padding_side="left").to(self.accelerator.device)

            pad_id = self._tokenizer.pad_token_id
            completions = decode(
                model,
                padded(tensors, pad_id),
                padded([torch.ones_like(row) for row in tensors], 0),
                max_new_tokens=self.max_completion_length,
                end_ids=self.eos_token_ids,
                pad_id=pad_id,
                sampling=Sampling(self.temperature, presence_penalty=self.context.config.rollout.presence_penalty),
            )
        ends = set(self.eos_token_ids)
        return [through_first(row, ends) for row in completions.tolist()]


@contextmanager
def penalising(model: Any, penalty: float) -> Iterator[None]:
    """Let a model's `generate` take ``penalty`` off the logits of tokens that a completion already holds."""
    if not penalty:
        yield
        return
    own = model.generate

    def generate(*args: Any, **settings: Any) -> Any:
        width = settings["input_ids"].size(1)
        return own(
            *args, **settings, logits_processor=processors(Sampling(presence_penalty=penalty), width, greedy=True)
        )

    model.generate = generate
    try:
        yield
    finally:
        del model.generate


def through_first(tokens: list[int], ends: set[int]) -> list[int]:
    """Return the tokens up to and with the first one in ``ends``; all of them where there is none."""
    stop = next((place for place, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tokens[: stop + 1]
