"""Which tokens of a completion stand inside ``<thought>…</thought>``: the official switch rlsd_thought_only."""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

THOUGHT = re.compile(r"<thought>(.*?)(?:</thought>|\Z)", re.DOTALL)


def inside(pieces: list[str]) -> list[bool]:
    """Return for each piece of a text whether it begins inside a thought; one that is never closed goes to the end.

    The official code looks for the tags' tokens; here it is their letters, since a tag is not always the same tokens:
    ``>`` and the line break after it may be one. A token that holds a part of a tag is outside.

    >>> inside(["<thought>", "so", " 4", "</thought>", "4"])
    [False, True, True, False, False]
    """
    starts = [0, *accumulate(map(len, pieces))][: len(pieces)]
    found = [False] * len(pieces)
    for match in THOUGHT.finditer("".join(pieces)):
        first, last = (bisect_left(starts, place) for place in match.span(1))
        for place in range(first, last):
            found[place] = True
    return found


def thought_mask(ids: Tensor, mask: Tensor, tokenizer: Any) -> Tensor:
    """Return (B, T), 1 on the tokens of completions (B, T) that stand inside a thought, 0 on padding."""
    known = {token: tokenizer.decode([token], skip_special_tokens=False) for token in set(ids.flatten().tolist())}
    rows = [inside([known[token] for token in row]) for row in ids.tolist()]
    return torch.tensor(rows, dtype=mask.dtype, device=ids.device) * mask
