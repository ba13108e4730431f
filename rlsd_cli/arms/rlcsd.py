"""RLCSD: a right sibling against the mixture of K wrong ones (arXiv 2606.11709).

    e_t = log π(y_t | x, y⁺, y_<t) − log (1/K) Σ_k π(y_t | x, y⁻_k, y_<t)
    ρ_t = clip(β·λ·tanh(e_t / τ)),   selected: |ρ_t| > δ
    loss = mean over unselected tokens with A + η · mean over selected tokens with A + ρ_t, cut at 0 on A's side

What changes against RLSD: evidence is added to A, not multiplied with it, and only on tokens where it is strong; both
hints are rollouts of the question, so what any hint does to the style cancels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rlsd_cli.arms import Arm, Look, Objective, View
from rlsd_cli.arms.tokens import Credit, Tokens

if TYPE_CHECKING:
    from torch import Tensor

NonNegative = Annotated[float, Field(ge=0)]


class Options(Objective):
    """RLCSD's objective. Defaults are those of the authors' configuration for mathematics."""

    siblings: Annotated[int, Field(ge=1, le=16, description="K, the most wrong siblings")] = 4
    tau: Annotated[float, Field(gt=0, description="τ, the evidence at which tanh saturates, nats")] = 0.02
    beta: NonNegative = 1.0
    mix: Annotated[NonNegative, Field(description="λ")] = 0.5
    threshold: Annotated[NonNegative, Field(description="δ: below it a token keeps A")] = 0.02
    selected_weight: Annotated[NonNegative, Field(description="η, weight of the selected tokens' mean")] = 1.0
    residual_clip: Annotated[NonNegative, Field(description="bound of ρ")] = 2.0


def contrast(tokens: Tokens, siblings: int) -> tuple[Tensor, Tensor]:
    """Return e (B, T), 0 where a hint is missing, and (B,) whether there is a right and at least one wrong one."""
    import torch

    names = [f"wrong{k}" for k in range(siblings)]
    there = torch.stack([tokens.present[name] for name in names])  # (K, B)
    wrong = torch.stack([tokens.teachers[name] for name in names])  # (K, B, T)
    count = there.sum(dim=0)
    mixture = wrong.masked_fill(~there.unsqueeze(2), float("-inf")).logsumexp(dim=0)
    usable = tokens.present["right"] & (count > 0)
    evidence = tokens.teachers["right"] - mixture + count.clamp(min=1).log().unsqueeze(1)
    return evidence.masked_fill(~usable.unsqueeze(1) | (tokens.mask == 0), 0.0), usable


def token_credit(tokens: Tokens, options: Options) -> Credit:
    """Return A + ρ on selected tokens, A on others (B, T), scaled so that a plain mean is the sum of the two means."""
    import torch

    evidence, usable = contrast(tokens, options.siblings)
    advantage = tokens.advantage.unsqueeze(1)
    residual = options.beta * options.mix * torch.tanh(evidence / options.tau)
    residual = residual.clamp(-options.residual_clip, options.residual_clip)
    selected = (residual.abs() > options.threshold) & tokens.mask.bool()
    moved = advantage + residual
    moved = torch.where(advantage > 0, moved.clamp(min=0), moved.clamp(max=0)) * (advantage != 0)
    total, chosen = tokens.mask.sum(), selected.sum()
    # The surrogate is linear in |A|, so a weight of a token's loss may as well stand in its advantage.
    plain_scale = total / (total - chosen).clamp(min=1)
    chosen_scale = options.selected_weight * total / chosen.clamp(min=1)
    scored = tokens.mask * usable.unsqueeze(1)
    return Credit(
        torch.where(selected, chosen_scale * moved, plain_scale * advantage),
        {
            "rlcsd/selected": (selected.float(), tokens.mask),
            "rlcsd/evidence_abs_mean": (evidence.abs(), scored),
            "rlcsd/residual_mean": (residual, selected),
        },
    )


def views(options: Options) -> dict[str, View]:
    """Return a right sibling's view and K wrong ones'."""
    return {"right": View("sibling:right")} | {f"wrong{k}": View(f"sibling:wrong:{k}") for k in range(options.siblings)}


ARM = Arm(
    name="rlcsd",
    summary="A + β·λ·tanh(e_t/τ) on strong tokens; e_t: a right sibling's teacher against wrong ones'",
    data="on-policy",
    direction="environment",
    look=Look(title="RLCSD", colour="#882255", line=(3, 2, 1, 2), marker="p"),
    source="arXiv 2606.11709",
    docs="docs/arms.md#rlcsd",
    claims=("above_grpo", "above_rlsd", "keeps_length"),
    options=Options,
    defaults={"teacher": {"source": "synced", "sync_every": 10}, "train": {"aggregation": "token"}},
    views=views,
    credit=token_credit,
    like="rlsd",
)
