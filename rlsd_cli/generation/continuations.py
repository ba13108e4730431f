"""The true credit of each step, by continuations resampled from it (VinePPO, arXiv 2410.01679, sec. 4).

The value of a prefix is the mean reward of completions that the policy samples from it, and a step's advantage is
the value after the step minus the value before it. The advantages of a completion sum to its reward minus the
value of its prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlsd_cli.generation.sample import complete, continued, encode_prompts
from rlsd_cli.generation.sampling import Sampling
from rlsd_cli.models.processors import text_tokenizer

CHUNK = 128  # continuations sampled at once; more are not faster on a CPU
SENTENCE_ENDS = (".", "!", "?", ";", "。")


class Begun(NamedTuple):
    """A completion that has begun: the row that it is from, and its tokens so far."""

    row: int
    tokens: list[int]


Judge = Callable[[Sequence[int], Sequence[list[int]]], list[float]]
"""From rows and as many whole completions (token ids) to their rewards."""
Continue = Callable[[Sequence[Begun], int], list[list[int]]]
"""From completions that have begun, and K, to the tokens that K samples of each add, those of one side by side."""


@dataclass(frozen=True)
class StepCredit:
    """Credit of B completions of T tokens.

    Attributes:
        advantages: (B, T) the advantage of the step that a token belongs to; 0 on padding and on rows left out.
        steps: (B, T) index of that step, from 0.
        values: Per completion the values before each step, and its reward last: one more than its steps; [] of rows
            left out.
        prefixes: How many prefixes were valued.
    """

    advantages: Tensor
    steps: Tensor
    values: list[list[float]]
    prefixes: int


def steps_of(ids: Tensor, mask: Tensor, ends: Callable[[int], bool], most: int = 0) -> Tensor:
    """Return the step that each token of (B, T) belongs to, from 0.

    Args:
        ids: (B, T).
        mask: (B, T), 1 on completion tokens.
        ends: Tells whether a token ends the step that it stands in.
        most: Of a completion with more steps neighbours are taken together, evenly; 0 for no bound.
    """
    ending = {token: ends(token) for token in torch.unique(ids).tolist()}
    marks = torch.tensor([[ending[token] for token in row] for row in ids.tolist()], dtype=torch.long).view(ids.shape)
    marks = marks * mask.cpu().long()
    steps = marks.cumsum(dim=1) - marks
    if most:
        count = (steps * mask.cpu()).amax(dim=1, keepdim=True) + 1
        steps = torch.where(count > most, steps * most // count, steps)
    return steps * mask.cpu()


def step_end(tokenizer: Any, separator: str | None, ids: Tensor) -> Callable[[int], bool]:
    """Return what tells whether a token ends a step.

    Args:
        tokenizer: Decodes tokens.
        separator: What a task's steps end with; None where it does not say: then lines, or sentences where the
            completions have one line each.
        ids: The completions.
    """
    texts = {token: tokenizer.decode([token], skip_special_tokens=True) for token in torch.unique(ids).tolist()}
    if separator is None and any("\n" in text for text in texts.values()):
        separator = "\n"
    if separator is not None:
        return lambda token: separator in texts[token]
    return lambda token: texts[token].rstrip().endswith(SENTENCE_ENDS)


def rows_of(ids: Tensor, mask: Tensor) -> list[list[int]]:
    """Return the tokens of each row without padding."""
    return [row[kept.bool()].tolist() for row, kept in zip(ids.cpu(), mask.cpu(), strict=True)]


def resampled_credit(
    ids: Tensor,
    mask: Tensor,
    steps: Tensor,
    rewards: Sequence[float],
    questions: Sequence[Hashable],
    *,
    go_on: Continue,
    judge: Judge,
    continuations: int,
    rows: Sequence[bool] | None = None,
) -> StepCredit:
    """Estimate the advantage of each step of each completion.

    A prefix that several completions of a question share is valued once, with the continuations of one. All prefixes
    of all completions are handed to ``go_on`` together.

    Args:
        ids: (B, T) completions of the policy.
        mask: (B, T), 1 on their tokens.
        steps: (B, T) of `steps_of`.
        rewards: (B,) of the completions.
        questions: (B,) equal where completions answer the same question.
        go_on: The sampler.
        judge: The verifier.
        continuations: K, completions sampled from each prefix.
        rows: (B,) whose credit is asked for; all where None.

    Returns:
        The credit, on the CPU.
    """
    whole, kept = rows_of(ids, mask), [True] * len(questions) if rows is None else list(rows)
    starts: list[list[int]] = []  # per row: where each step begins
    owner: dict[tuple[Hashable, tuple[int, ...]], int] = {}  # question and prefix → a row that has them
    for row, tokens in enumerate(whole):
        own = steps[row][mask[row].cpu().bool()].tolist()
        starts.append([place for place, step in enumerate(own) if not place or step != own[place - 1]])
        for start in starts[-1] if kept[row] else ():
            owner.setdefault((questions[row], tuple(tokens[:start])), row)
    begun = [Begun(row, list(prefix)) for (_, prefix), row in owner.items()]
    ends = go_on(begun, continuations)
    repeated = [each for each in begun for _ in range(continuations)]
    found = judge(
        [each.row for each in repeated], [each.tokens + end for each, end in zip(repeated, ends, strict=True)]
    )
    means = torch.tensor(found, dtype=torch.float64).view(-1, continuations).mean(dim=1).tolist()
    value = dict(zip(owner, means, strict=True))
    advantages, values = torch.zeros(ids.shape), []
    for row, tokens in enumerate(whole):
        before = [value[questions[row], tuple(tokens[:start])] for start in starts[row]] if kept[row] else []
        values.append([*before, float(rewards[row])] if before else [])
        if before:
            gains = torch.tensor(values[-1]).diff()
            advantages[row] = gains[steps[row]] * mask[row].cpu()
    return StepCredit(advantages, steps, values, len(owner))


def model_sampler(
    model: Any, tokenizer: Any, prompts: Sequence[Any], *, max_new_tokens: int, temperature: float = 1.0
) -> Continue:
    """Return a sampler that continues completions with a model; prefixes of like length are sampled together.

    Args:
        model: A bare transformers model.
        tokenizer: Its tokenizer; of a vision-language model its processor.
        prompts: (B,) of the completions, as `rlsd_cli.generation.sample.sample` takes them.
        max_new_tokens: Budget of a whole completion.
        temperature: Of the sampling.
    """

    def part(begun: Sequence[Begun], count: int) -> list[list[int]]:
        rows = [each for each in begun for _ in range(count)]
        encoded = encode_prompts(tokenizer, [prompts[each.row] for each in rows])
        pad = text_tokenizer(tokenizer).pad_token_id
        encoded = continued(encoded, [each.tokens for each in rows], pad).to(model.device)
        budget = max_new_tokens - min(len(each.tokens) for each in begun)
        ends = complete(model, tokenizer, encoded, max_new_tokens=budget, sampling=Sampling(temperature))
        return rows_of(ends.completion_ids, ends.completion_mask)

    return lambda begun, count: in_parts(begun, count, part, max_new_tokens)


def in_parts(
    begun: Sequence[Begun],
    count: int,
    part: Callable[[Sequence[Begun], int], list[list[int]]],
    budget: int,
    size: int = CHUNK,
) -> list[list[int]]:
    """Continue many completions in parts of like length, and cut each at the budget of a whole completion.

    Args:
        begun: Completions that have begun.
        count: K, samples of each.
        part: Continues some of them.
        budget: Tokens of a whole completion.
        size: Continuations in a part.
    """
    order = sorted(range(len(begun)), key=lambda place: len(begun[place].tokens))
    found: list[list[list[int]]] = [[] for _ in begun]
    step = max(1, size // count)
    for first in range(0, len(order), step):
        places = order[first : first + step]
        ends = part([begun[place] for place in places], count)
        for number, place in enumerate(places):
            left = budget - len(begun[place].tokens)
            found[place] = [end[:left] for end in ends[number * count : (number + 1) * count]]
    return [end for ends in found for end in ends]
