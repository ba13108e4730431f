"""Sampling completions with transformers, for probes and for evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlsd_cli.generation.loop import decodable, decode
from rlsd_cli.generation.sampling import Sampling, processors
from rlsd_cli.models.images import Vision, encode_chats
from rlsd_cli.models.limits import check_context
from rlsd_cli.models.processors import takes_images, text_tokenizer


@dataclass(frozen=True)
class Samples:
    """A batch of completions.

    ``prompt_ids`` (B, P) is left-padded, ``completion_ids`` (B, T) right-padded; the masks are 1 on tokens.
    ``vision`` holds the prompts' images, where there are any.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    texts: list[str]
    truncated: list[bool]
    vision: Vision | None = None


class Encoded(NamedTuple):
    """Prompts as a model takes them: left-padded ``ids`` and ``mask``, both (B, P), and their images if any."""

    ids: Tensor
    mask: Tensor
    vision: Vision | None = None

    def to(self, device: Any) -> Encoded:
        """Return the same on a device."""
        return Encoded(self.ids.to(device), self.mask.to(device), self.vision.to(device) if self.vision else None)


def encode(tokenizer: Any, prompts: list[Any], variables: Mapping[str, Any] | None = None) -> tuple[Tensor, Tensor]:
    """Return left-padded (ids, mask) of prompts, (B, P); chat messages go through the chat template."""
    if not isinstance(prompts[0], str):
        prompts = [
            tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False, **(variables or {}))
            for prompt in prompts
        ]
    batch = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    return batch["input_ids"], batch["attention_mask"]


def encode_prompts(processing: Any, prompts: list[Any], variables: Mapping[str, Any] | None = None) -> Encoded:
    """Return prompts as a model takes them.

    Args:
        processing: A tokenizer; or a processor, for which chats may have PIL images in them.
        prompts: Texts or chats.
        variables: Of the chat template, such as ``enable_thinking``.
    """
    return Encoded(*(encode_chats if takes_images(processing) else encode)(processing, prompts, variables))


def continued(encoded: Encoded, begun: list[list[int]], pad: int) -> Encoded:
    """Return the prompts (B, P) with the tokens that each completion has so far, padded on the left anew.

    Args:
        encoded: B prompts.
        begun: Per prompt the tokens of the completion so far, [] where it has none.
        pad: The padding token.
    """
    width = max(int(kept.sum()) + len(tokens) for kept, tokens in zip(encoded.mask, begun, strict=True))

    def rows(values: Tensor, fill: int, added: list[list[int]]) -> Tensor:
        result = values.new_full((values.size(0), width), fill)
        for row, (own, kept, more) in enumerate(zip(values, encoded.mask, added, strict=True)):
            whole = torch.cat([own[kept.bool()], own.new_tensor(more)])
            result[row, width - len(whole) :] = whole
        return result

    blank = [[0] * len(tokens) for tokens in begun]
    vision = encoded.vision and Vision(
        encoded.vision.images,
        {name: rows(types, 0, blank) for name, types in encoded.vision.token_types.items()},
        encoded.vision.counts,
    )
    mask = rows(encoded.mask, 0, [[1] * len(tokens) for tokens in begun])
    return Encoded(rows(encoded.ids, pad, begun), mask, vision)


@torch.no_grad()
def sample(
    model: Any,
    tokenizer: Any,
    prompts: list[Any],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    greedy: bool = False,
    sampling: Sampling | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Samples:
    """Sample one completion per prompt.

    Args:
        model: A bare transformers model; its mode (train or eval) is kept.
        tokenizer: Pads on the left; of a vision-language model its processor.
        prompts: Texts or chats, for a vision-language model with PIL images in them; repeat one for several samples.
        max_new_tokens: Budget of a completion.
        temperature: Of the softmax.
        greedy: Take the most probable token at each step instead of sampling.
        sampling: Instead of ``temperature`` alone: also top-p, top-k, min-p and a presence penalty.
        variables: Of the chat template.

    Raises:
        UserError: The longest prompt and its completion don't fit into the model's context.
    """
    encoded = encode_prompts(tokenizer, prompts, variables).to(model.device)
    how = sampling or Sampling(temperature)
    return complete(model, tokenizer, encoded, max_new_tokens=max_new_tokens, greedy=greedy, sampling=how)


@torch.no_grad()
def complete(
    model: Any, tokenizer: Any, encoded: Encoded, *, max_new_tokens: int, sampling: Sampling, greedy: bool = False
) -> Samples:
    """Sample one completion per row of encoded prompts, or of completions that have begun.

    Args:
        model: A bare transformers model; its mode (train or eval) is kept.
        tokenizer: Of a vision-language model its processor.
        encoded: The rows, on the model's device.
        max_new_tokens: Budget of what is added.
        sampling: How.
        greedy: Take the most probable token at each step instead of sampling.

    Raises:
        UserError: The longest row and what is added don't fit into the model's context.
    """
    ids, mask, vision = encoded
    check_context(model, ids.size(1), max_new_tokens)
    images: dict[str, Any] = vision.inputs() if vision else {}
    if takes_images(tokenizer):  # a sampled image token would lack its image
        images["suppress_tokens"] = [model.config.image_token_id]
    tokenizer = text_tokenizer(tokenizer)
    was_training = model.training
    model.eval()
    if not images and decodable(model):
        completion = decode(
            model,
            ids,
            mask,
            max_new_tokens=max_new_tokens,
            end_ids=stop_ids(model, tokenizer),
            pad_id=tokenizer.pad_token_id,
            greedy=greedy,
            sampling=sampling,
        )
    else:
        choice: dict[str, Any] = (
            {"do_sample": False}
            if greedy
            else {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": None}
        )
        choice["logits_processor"] = processors(sampling, ids.size(1), greedy)
        output = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            **choice,
            **images,
        )
        completion = output[:, ids.size(1) :]
    model.train(was_training)
    ends = torch.tensor(stop_ids(model, tokenizer), device=completion.device)
    is_end = torch.isin(completion, ends)
    # A token counts up to and with the first end token.
    completion_mask = (is_end.cumsum(dim=1) - is_end.long() == 0).long()
    return Samples(
        prompt_ids=ids,
        prompt_mask=mask,
        completion_ids=completion,
        completion_mask=completion_mask,
        texts=tokenizer.batch_decode(
            completion * completion_mask + tokenizer.pad_token_id * (1 - completion_mask), skip_special_tokens=True
        ),
        truncated=(~is_end.any(dim=1)).tolist(),
        vision=vision,
    )


def stop_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return the token ids that end a completion."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return [token for token in {*ids, tokenizer.eos_token_id} if token is not None]
