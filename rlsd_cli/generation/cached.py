"""Decoding with a transformers model's own forward pass and key-value cache."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def cache_argument(model: Any) -> str | None:
    """Return the name under which the model's forward pass takes its cache, None where it takes none."""
    taken = inspect.signature(type(model).forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in taken), None)


def caches_plainly(model: Any) -> bool:
    """Return whether the model is a decoder of text whose layers all cache every key and value."""
    if not isinstance(model, PreTrainedModel) or model.config.is_encoder_decoder or not cache_argument(model):
        return False
    if hasattr(model.config, "vision_config"):  # Qwen-VL continues a cache at positions that it remembers itself
        return False
    taken = inspect.signature(type(model).forward).parameters
    layers = DynamicCache(config=model.config).layers
    return {"position_ids", "logits_to_keep"} <= set(taken) and all(type(layer) is DynamicLayer for layer in layers)


def prefill(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, DynamicCache]:
    """Read prompts (U, P), padded on the left; return the logits of the next token, (U, V), and the cache."""
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, str(cache_argument(model)): cache}
    return model(**given, use_cache=True, logits_to_keep=1).logits[:, -1], cache


class CachedDecoder:
    """Steps through completions of B rows; row i continues prompt ``row_of[i]`` of U."""

    def __init__(self, model: Any, ids: Tensor, mask: Tensor, row_of: Tensor, max_new_tokens: int) -> None:
        self._model = model
        self._name = str(cache_argument(model))
        logits, self._cache = prefill(model, ids, mask)
        self._cache.batch_select_indices(row_of)
        self._mask = mask[row_of]
        self.logits = logits[row_of]

    def step(self, tokens: Tensor) -> Tensor:
        """Append tokens (B,) and return the next token's logits, (B, V)."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        given = {"input_ids": tokens.unsqueeze(1), "attention_mask": self._mask, self._name: self._cache}
        positions = self._mask.sum(dim=1, keepdim=True) - 1
        return self._model(**given, position_ids=positions, use_cache=True, logits_to_keep=1).logits[:, -1]

    def keep(self, places: Tensor) -> None:
        """Go on with the rows at ``places`` only."""
        self._cache.batch_select_indices(places)
        self._mask = self._mask[places]
