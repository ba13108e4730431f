"""The sampling loop: temperature or greedy, one draw per row and step, finished rows leave the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rlsd_cli.decoding.cached import CachedDecoder, caches_plainly
from rlsd_cli.decoding.fused import FusedDecoder, can_fuse

# Rows leave the batch when this share of it is done: moving the cache costs about as much as one step.
LEAVING_SHARE = 0.25


@torch.no_grad()
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
) -> Tensor:
    """Sample one completion per row from the whole softmax, with torch's global random state.

    Args:
        model: A model for which ``decodable`` holds.
        prompt_ids: (B, P), padded on the left; equal rows are read once.
        prompt_mask: (B, P), 1 on tokens.
        max_new_tokens: Budget of a completion.
        end_ids: A completion stops with the first of these.
        pad_id: Follows a completion that has stopped.
        temperature: Divides the logits.
        greedy: Take the most probable token instead.

    Returns:
        Completion ids, (B, T), T the longest completion's length: what `generate` appends to the prompt.

    Raises:
        RuntimeError: The model's probabilities are not finite.
    """
    prompts, row_of = torch.unique(torch.stack([prompt_ids * prompt_mask, prompt_mask], 1), dim=0, return_inverse=True)
    first = torch.empty(len(prompts), dtype=torch.long, device=row_of.device)
    first[row_of] = torch.arange(len(row_of), device=row_of.device)
    kind = FusedDecoder if can_fuse(model) else CachedDecoder
    decoder = kind(model, prompt_ids[first], prompt_mask[first], row_of, max_new_tokens)
    rows = torch.arange(len(prompt_ids), device=prompt_ids.device)  # the row of each place in the batch
    done = torch.zeros_like(rows, dtype=torch.bool)
    ends = torch.tensor(end_ids, dtype=torch.long, device=rows.device)
    completions = prompt_ids.new_full((len(rows), max_new_tokens), pad_id)
    logits = decoder.logits
    for step in range(max_new_tokens):
        if greedy:
            tokens = logits.argmax(dim=-1)
        else:
            # Drawn for all rows, so that a row's randomness does not hang on when others finish.
            uniform = torch.rand(len(prompt_ids), dtype=torch.float64, device=rows.device)[rows]
            tokens = draw(logits.float() / temperature, uniform)
        tokens = tokens.masked_fill(done, pad_id)
        completions[rows, step] = tokens
        done |= torch.isin(tokens, ends)
        finished = int(done.sum())
        if finished == len(rows) or step + 1 == max_new_tokens:
            return completions[:, : step + 1]
        if finished >= LEAVING_SHARE * len(rows):
            staying = (~done).nonzero().squeeze(1)
            decoder.keep(staying)
            rows, done, tokens = rows[staying], done[staying], tokens[staying]
        logits = decoder.step(tokens)
    raise ValueError("max_new_tokens must be positive")


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Return tokens (B,) by inverting the cumulative distribution of softmax(logits (B, V)) at ``uniform`` (B,).

    Raises:
        RuntimeError: A probability is not finite.
    """
    cumulative = torch.softmax(logits, dim=-1, dtype=torch.float64).cumsum(dim=-1)
    total = cumulative[:, -1:]
    if not bool(total.isfinite().all()):
        raise RuntimeError("probability tensor contains inf or nan")  # as torch.multinomial puts it
    # The first token whose cumulative probability exceeds the draw: one of probability 0 never does.
    tokens = torch.searchsorted(cumulative, uniform.unsqueeze(1) * total, right=True).squeeze(1)
    return tokens.clamp_(max=logits.size(-1) - 1)


def decodable(model: Any) -> bool:
    """Return whether ``decode`` runs this model."""
    return can_fuse(model) or caches_plainly(model)
