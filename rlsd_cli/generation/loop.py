"""The sampling loop: temperature or greedy, one draw per row and step, finished rows leave the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlsd_cli.generation.cached import CachedDecoder, caches_plainly
from rlsd_cli.generation.fused import FusedDecoder, can_fuse
from rlsd_cli.generation.sampling import Sampling, penalised, warpers

# Rows leave the batch when this share of it is done: moving the cache costs about as much as one step.
LEAVING_SHARE = 0.25


def decode(
    model: Any,
    prompt_ids: Tensor,
    prompt_mask: Tensor,
    *,
    max_new_tokens: int,
    end_ids: list[int],
    pad_id: int,
    temperature: float = 1.0,
    greedy: bool = False,
    sampling: Sampling | None = None,
) -> Tensor:
    """Sample one completion per row, from the whole softmax unless ``sampling`` says otherwise.

    Random numbers are drawn from torch's global state just as `generate` draws them: after the same
    seed both give the same tokens, where rounding does not tip a draw.

    Args:
        model: A model for which ``decodable`` holds.
        prompt_ids: (B, P), padded on the left; equal rows are read once.
        prompt_mask: (B, P), 1 on tokens.
        max_new_tokens: Budget of a completion.
        end_ids: A completion stops with the first of these.
        pad_id: Follows a completion that has stopped.
        temperature: Divides the logits.
        greedy: Take the most probable token instead.
        sampling: Instead of ``temperature`` alone.

    Returns:
        Completion ids, (B, T), T the longest completion's length: what `generate` appends to the prompt.

    Raises:
        RuntimeError: The model's probabilities are not finite.
    """
    ends = torch.tensor(end_ids, dtype=torch.long, device=prompt_ids.device)
    with torch.inference_mode():  # less overhead per operation than no_grad
        completions = _decode(
            model, prompt_ids, prompt_mask, max_new_tokens, ends, pad_id, sampling or Sampling(temperature), greedy
        )
    return completions.clone()  # a tensor that autograd may use


def _decode(
    model: Any,
    prompt_ids: Tensor,
    prompt_mask: Tensor,
    max_new_tokens: int,
    ends: Tensor,
    pad_id: int,
    sampling: Sampling,
    greedy: bool,
) -> Tensor:
    """``decode``, in inference mode."""
    first, row_of = distinct(prompt_ids, prompt_mask)
    kind = FusedDecoder if can_fuse(model) else CachedDecoder
    decoder = kind(model, prompt_ids[first], prompt_mask[first], row_of, max_new_tokens)
    rows = torch.arange(len(prompt_ids), device=prompt_ids.device)  # the row of each place in the batch
    done = torch.zeros_like(rows, dtype=torch.bool)
    completions = prompt_ids.new_full((len(rows), max_new_tokens), pad_id)
    logits, filters = decoder.logits, warpers(sampling)
    for step in range(max_new_tokens):
        logits = penalised(logits, completions[rows, :step], sampling.presence_penalty)
        if greedy:
            tokens = logits.argmax(dim=-1)
        else:
            if len(rows) < len(prompt_ids):  # random numbers are drawn for all rows, as `generate` does
                logits = logits.new_zeros(len(prompt_ids), logits.size(-1)).index_copy_(0, rows, logits)
            scores = logits.float() / sampling.temperature
            for each in filters:
                scores = each(completions, scores)
            probabilities = torch.softmax(scores, dim=-1)
            tokens = torch.multinomial(probabilities, 1).squeeze(1)[rows]
        tokens = tokens.masked_fill(done, pad_id)
        completions[rows, step] = tokens
        done |= (tokens.unsqueeze(1) == ends).any(dim=1)
        finished = int(done.sum())
        if finished == len(rows) or step + 1 == max_new_tokens:
            return completions[:, : step + 1]
        if finished >= LEAVING_SHARE * len(rows):
            staying = (~done).nonzero().squeeze(1)
            decoder.keep(staying)
            rows, done, tokens = rows[staying], done[staying], tokens[staying]
        logits = decoder.step(tokens)
    raise ValueError("max_new_tokens must be positive")


def distinct(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return a row of each of the U distinct prompts in (B, P) ids and mask, (U,), and each row's prompt, (B,)."""
    prompts, row_of = torch.unique(torch.stack([ids * mask, mask], 1), dim=0, return_inverse=True)
    first = torch.empty(len(prompts), dtype=torch.long, device=row_of.device)
    first[row_of] = torch.arange(len(row_of), device=row_of.device)
    return first, row_of


def decodable(model: Any) -> bool:
    """Return whether ``decode`` runs this model."""
    return can_fuse(model) or caches_plainly(model)
