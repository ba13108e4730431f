"""Means over tokens, exact over micro-batches and processes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

DOT, OWN, GRPO = "credit/dot", "credit/own", "credit/grpo"


class TokenMeans(TrainerCallback):
    """Adds up values and tokens of a step, and puts their quotients into its line of metrics.

    A mean of the micro-batches' means would weigh a token by the length of its neighbours. Where no token counts,
    in the whole step, the mean is NaN: nothing was seen, which is not 0.
    """

    def __init__(self, accelerator: Any) -> None:
        self.accelerator = accelerator
        self.totals: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor, mask: Tensor) -> None:
        """Count ``values`` (B, T) on the tokens in ``mask`` (B, T)."""
        kept = mask.bool()
        total = torch.stack([values.detach().double().masked_fill(~kept, 0.0).sum(), kept.sum().double()])
        self.totals[name] = self.totals[name] + total if name in self.totals else total

    def compare(self, credit: Tensor, advantage: Tensor, mask: Tensor) -> None:
        """Count an arm's token advantages (B, T) beside GRPO's A (B,): their cosine and the ratio of their norms."""
        plain = advantage.unsqueeze(1).expand_as(credit)
        for name, values in ((DOT, credit * plain), (OWN, credit * credit), (GRPO, plain * plain)):
            self.add(name, values, mask)

    def take(self) -> dict[str, float]:
        """Return the means over all processes and start anew; every process calls this."""
        if not self.totals:
            return {}
        names, totals = list(self.totals), torch.stack(list(self.totals.values()))
        self.totals = {}
        sums = self.accelerator.reduce(totals, reduction="sum").tolist()
        means = {
            name: total / count if count else float("nan") for name, (total, count) in zip(names, sums, strict=True)
        }
        if DOT in means:
            dot, own, grpo = (means.pop(name) for name in (DOT, OWN, GRPO))
            means["credit/cosine"] = dot / math.sqrt(own * grpo) if own and grpo else float("nan")
            means["credit/norm_ratio"] = math.sqrt(own / grpo) if grpo else float("nan")
        return means

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Add the means to the line of this step."""
        if logs is not None and "loss" in logs:
            logs.update(self.take())
