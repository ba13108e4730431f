"""The teacher's pass with each distinct open-book prompt read once, for all rollouts of its group."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from rlsd_cli.generation.cached import cache_argument, caches_plainly
from rlsd_cli.generation.loop import distinct
from rlsd_cli.models.images import PER_IMAGE
from rlsd_cli.training.distributed import on_all
from rlsd_cli.training.sharded import in_shards


def can_share(module: Any, inputs: dict[str, Any], view: str = "teacher") -> bool:
    """Return whether the pass can be split: a bare decoder of text, and prompts that repeat.

    A model in shards runs as many passes on every process, or their messages no longer pair: every process asks here.
    """
    prompts, completion = inputs[f"{view}_prompt_ids"], inputs["completion_ids"]
    possible = (
        caches_plainly(module)
        and not (module.training and module.is_gradient_checkpointing)  # which switches caches off
        and not any(name in inputs for name in PER_IMAGE)
        and completion.size(1) > 1
        and len(distinct(prompts, inputs[f"{view}_prompt_mask"])[0]) < len(completion)
    )
    return on_all(possible, completion.device) if in_shards(module) else possible


@torch.no_grad()
def read_prompts_once(module: Any, inputs: dict[str, Any], view: str, **scoring: Any) -> tuple[Tensor, Tensor, Any]:
    """Read U distinct prompts, then the completions of B rows behind them.

    Args:
        module: A model for which ``can_share`` holds.
        inputs: The batch.
        view: Whose prompts.
        scoring: Further arguments of the second pass.

    Returns:
        The logits (U, V) of the first token, the prompt of each row (B,), and the output of the second pass
        over (B, T-1): all tokens of the completions but the last one, which predicts nothing.
    """
    ids, mask, completion = inputs[f"{view}_prompt_ids"], inputs[f"{view}_prompt_mask"], inputs["completion_ids"]
    first, row_of = distinct(ids, mask)
    cache = DynamicCache(config=module.config)
    cached = {str(cache_argument(module)): cache, "use_cache": True}
    # No position ids: both passes count from the left edge, padding included, as TRL's student pass does.
    logits = module(input_ids=ids[first], attention_mask=mask[first], logits_to_keep=1, **cached).logits[:, -1]
    cache.batch_select_indices(row_of)
    seen = torch.cat([mask, inputs["completion_mask"]], dim=1)[:, :-1]
    return logits, row_of, module(input_ids=completion[:, :-1], attention_mask=seen, **cached, **scoring)


def sampled_logps(module: Any, inputs: dict[str, Any], view: str, temperature: float) -> Tensor:
    """Return the log-probs of the sampled tokens, (B, T): one log-softmax per prompt, TRL's fused head for the rest."""
    completion = inputs["completion_ids"]
    logits, row_of, rest = read_prompts_once(module, inputs, view, fused_lm_head=True, shift_labels=completion[:, 1:])
    opening = torch.log_softmax(logits.float() / temperature, dim=-1)[row_of].gather(1, completion[:, :1])
    return torch.cat([opening, rest.log_probs], dim=1)
