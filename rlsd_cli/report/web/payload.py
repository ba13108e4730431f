"""The samples as the page holds them: rollouts with credit as short lists, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlsd_cli.report.credit.data import visible
from rlsd_cli.report.samples import Rollout
from rlsd_cli.report.web.series import rounded

TOKENS = 60_000  # in the page, about two megabytes
QUANTITIES = (
    ("delta", "Δ: how much more likely the token is to the one who sees the reference (nats)"),
    ("evidence", "w: evidence weight exp(sign(A)·Δ), not yet clipped (in nats around 1)"),
    ("full", "Â at λ = 1: distance from the rollout's own A, in units of |A|"),
    ("current", "Â at the λ of the step (only for arms that have one)"),
    ("placebo", "Δ with another question's reference (nats)"),
    ("none", "no colour"),
)


def payload(samples: Mapping[str, Sequence[Rollout]]) -> dict[str, Any]:
    """Return what the browser of samples needs, by arm; long completions are cut so that all stay within the budget."""
    everything = [rollout for rollouts in samples.values() for rollout in rollouts]
    budget = max(1, TOKENS // max(1, len(everything)))
    prompts = {rollout.prompt_id: (rollout.prompt, rollout.answer) for rollout in reversed(everything)}
    ids = sorted(prompts, key=[rollout.prompt_id for rollout in everything].index)
    return {
        "prompts": [{"id": name, "prompt": prompts[name][0], "answer": prompts[name][1]} for name in ids],
        "scale": _scales(everything),
        "arms": {
            label: [_rollout(rollout, ids, budget) for rollout in rollouts]
            for label, rollouts in samples.items()
            if rollouts
        },
        "steps": sorted({rollout.step for rollout in everything}),
    }


def _rollout(rollout: Rollout, ids: list[str], budget: int) -> dict[str, Any]:
    def cut(values: Sequence[Any]) -> list[Any]:
        return list(values[:budget])

    return {
        "prompt": ids.index(rollout.prompt_id),
        "step": rollout.step,
        "sample": rollout.sample_id,
        "reference": rollout.reference,
        "extracted": rollout.extracted,
        "why": rollout.why,
        "right": rollout.correct,
        "advantage": rounded([rollout.advantage])[0],
        "mix": rollout.mix,
        "tokens": [visible(token) for token in cut(rollout.tokens)],
        "cut": max(0, len(rollout.tokens) - budget),
        "delta": rounded(cut(rollout.delta), 3),
        "weight": rounded(cut(rollout.weight), 3),
        "placebo": rounded(cut(rollout.placebo), 3) if rollout.placebo is not None else None,
        "rules": {str(i): rule for i, rule in enumerate(cut(rollout.mentions)) if rule},
    }


def _scales(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Return for each kind of number the distance from neutral at which the colour is full: the 98th percentile."""

    def largest(values: list[float]) -> float:
        finite = np.abs(np.asarray(values, dtype=float))
        finite = finite[np.isfinite(finite)]
        return float(f"{max(float(np.quantile(finite, 0.98)), 1e-6):.3g}") if finite.size else 1.0

    delta = largest([value for rollout in rollouts for value in rollout.delta])
    weight = largest([value - 1 for rollout in rollouts for value in rollout.weight])
    return {"delta": delta, "evidence": delta, "placebo": delta, "full": weight, "current": weight}
