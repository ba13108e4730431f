"""The true credit of each step, by continuations resampled from it (VinePPO, arXiv 2410.01679, sec. 4).

The value of a prefix is the mean reward of completions that the policy samples from it, and a step's advantage is
the value after the step minus the value before it. The advantages of a completion sum to its reward minus the
value of its prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.generation.sample import Encoded, Samples, complete
from rlsd_cli.generation.sampling import Sampling


@dataclass(frozen=True)
class StepCredit:
    """Credit of B completions of T tokens.

    Attributes:
        advantages: (B, T) the advantage of the step that a token belongs to; 0 on padding.
        steps: (B, T) index of that step, from 0.
        values: Per completion the values before each step, and its reward last: one more than its steps.
    """

    advantages: Tensor
    steps: Tensor
    values: list[list[float]]


def steps_of(ids: Tensor, separators: Sequence[int]) -> Tensor:
    """Return the step that each token of (B, T) belongs to, from 0; a separator ends the step it stands in."""
    ends = torch.isin(ids, torch.tensor(separators, device=ids.device)).long()
    return ends.cumsum(dim=1) - ends


def rows_of(ids: Tensor, mask: Tensor) -> list[list[int]]:
    """Return the tokens of each row without padding."""
    return [row[kept.bool()].tolist() for row, kept in zip(ids.cpu(), mask.cpu(), strict=True)]


def resampled_credit(
    model: Any,
    tokenizer: Any,
    samples: Samples,
    rewards: Tensor,
    judge: Callable[[Sequence[int], Sequence[str]], list[float]],
    *,
    separators: Sequence[int],
    continuations: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    chunk: int = 256,
) -> StepCredit:
    """Estimate the advantage of each step of each completion.

    A prefix that several completions share is valued once, with the continuations of one.

    Args:
        model: The policy, a bare transformers model.
        tokenizer: Its tokenizer.
        samples: B completions of the policy.
        rewards: (B,) of the completions.
        judge: Gets rows of ``samples`` and as many whole completions' texts, returns their rewards.
        separators: Tokens that end a step.
        continuations: K, completions sampled from each prefix.
        max_new_tokens: Budget of a whole completion.
        temperature: Of the sampling.
        chunk: Continuations sampled at once; more are not faster on a CPU.

    Returns:
        The credit, on the CPU.
    """
    ids, mask = samples.completion_ids.cpu(), samples.completion_mask.cpu()
    steps = steps_of(ids, separators) * mask
    prompts = rows_of(samples.prompt_ids, samples.prompt_mask)
    starts: list[list[int]] = []  # per row: where each step begins
    owner: dict[tuple[int, ...], int] = {}  # prompt and prefix → a row that has them
    for row, prompt in enumerate(prompts):
        own = steps[row][mask[row].bool()].tolist()
        starts.append([own.index(step) for step in sorted(set(own))])
        for start in starts[-1]:
            owner.setdefault((*prompt, -1, *ids[row, :start].tolist()), row)
    value = _values(model, tokenizer, list(owner.items()), judge, continuations, max_new_tokens, temperature, chunk)
    advantages, values = torch.zeros(ids.shape), []
    for row, prompt in enumerate(prompts):
        before = [value[(*prompt, -1, *ids[row, :start].tolist())] for start in starts[row]]
        values.append([*before, float(rewards[row])])
        gains = torch.tensor(values[-1]).diff()
        advantages[row] = gains[steps[row]] * mask[row]
    return StepCredit(advantages, steps, values)


def _values(
    model: Any,
    tokenizer: Any,
    prefixes: list[tuple[tuple[int, ...], int]],
    judge: Callable[[Sequence[int], Sequence[str]], list[float]],
    continuations: int,
    max_new_tokens: int,
    temperature: float,
    chunk: int,
) -> dict[tuple[int, ...], float]:
    """Return the mean reward of each prefix's continuations; prefixes of like length are sampled together."""
    ordered = sorted(prefixes, key=lambda item: len(item[0]) - item[0].index(-1))
    found: dict[tuple[int, ...], float] = {}
    size = max(1, chunk // continuations)
    for first in range(0, len(ordered), size):
        part = ordered[first : first + size]
        keys = [key for key, _ in part for _ in range(continuations)]
        rows = [row for _, row in part for _ in range(continuations)]
        tokens = [[token for token in key if token >= 0] for key in keys]
        written = [list(key[key.index(-1) + 1 :]) for key in keys]
        width = max(map(len, tokens))
        pad = tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in tokens], device=model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in tokens], device=model.device)
        budget = max_new_tokens - min(map(len, written))
        how = Sampling(temperature)
        ends = complete(model, tokenizer, Encoded(ids, mask), max_new_tokens=budget, sampling=how)
        new = rows_of(ends.completion_ids, ends.completion_mask)
        whole = [old + more for old, more in zip(written, new, strict=True)]
        texts = tokenizer.batch_decode(whole, skip_special_tokens=True)
        rewards = torch.tensor(judge(rows, texts)).view(-1, continuations).mean(dim=1).tolist()
        found.update(zip((key for key, _ in part), rewards, strict=True))
    return found
