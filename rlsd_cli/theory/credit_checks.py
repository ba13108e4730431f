"""Theorem 5's three isolations on RLSD's credit, and what direction they leave to the teacher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlsd_cli.objectives import rlsd_advantage
from rlsd_cli.theory.check import Check, at_most, finding
from rlsd_cli.theory.direction import Cases, coherence, cosine, guaranteed_cosine, sample_cases, turn_away
from rlsd_cli.theory.majority import random_cosines, signal_per_token, worst_cosine

EPSILON_W = 0.2
MIXES = (0.5, 1.0)  # the paper's first step, and the full reweighting of eq. 15
LENGTHS = (3, 5, 9, 17, 33, 65, 129, 257, 513, 1025)
SPREAD = 0.5
SEARCHED = 100


def isolations(count: int, seed: int) -> list[Check]:
    """Check sign, bound and support of Â_t on random advantages, gains, λ and ε_w, heavy tails included."""
    generator = torch.Generator().manual_seed(seed)
    flipped, excess, first_order = 0, 0.0, 0.0
    for mix in (0.0, 0.1, 0.5, 1.0):
        for epsilon in (0.0, 0.2, 0.9):
            advantage = torch.randn(count, generator=generator, dtype=torch.float64)
            delta = torch.randn(count, 1, generator=generator, dtype=torch.float64).pow(5)
            credit = rlsd_advantage(advantage, delta, mix, epsilon).squeeze(1)
            flipped += int((credit.sign() != advantage.sign()).sum())
            excess = max(excess, ((credit / advantage - 1).abs() - mix * epsilon).max().item())
            inside = delta.squeeze(1).clamp(-0.1, 0.1)
            exact = rlsd_advantage(advantage, inside.unsqueeze(1), mix, 0.2).squeeze(1)
            linear = advantage + mix * advantage.abs() * inside
            first_order = max(
                first_order, ((exact - linear).abs() - 0.6 * advantage.abs() * inside.square()).max().item()
            )
    return [
        at_most("Theorem 5", "sign(Â_t) = sign(A)", float(flipped), "tokens with another sign", 0.0),
        at_most("Theorem 5", "|Â_t/A − 1| ≤ λ·ε_w", excess, "largest excess", 1e-12),
        at_most(
            "Theorem 5",
            "log-probs of tokens that were not sampled get no gradient",
            unsampled_gradient(seed),
            "largest gradient entry",
            0.0,
            note="of log-probs: in logits the softmax passes the gradient on to every token of the position",
        ),
        at_most(
            "Ours",
            "within the clip Â_t = A + λ·|A|·Δ_t + O(Δ²): GRPO plus λ|A| times OPSD's sampled reverse KL",
            first_order,
            "largest excess over 0.6·|A|·Δ²",
            1e-12,
            note="the teacher's own direction enters, bounded by the clip",
        ),
    ]


def unsampled_gradient(seed: int) -> float:
    """Return the largest gradient of RLSD's surrogate on log-probs of tokens that were not sampled."""
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(64, 16, 11, generator=generator, dtype=torch.float64).log_softmax(-1).requires_grad_(True)
    sampled = torch.randint(11, (64, 16, 1), generator=generator)
    gain = torch.randn(64, 16, generator=generator, dtype=torch.float64)
    advantage = torch.randn(64, generator=generator, dtype=torch.float64)
    chosen = log_probs.gather(2, sampled)
    (rlsd_advantage(advantage, gain, 0.5, EPSILON_W) * chosen.squeeze(2)).sum().backward()
    gradient = log_probs.grad
    if gradient is None:
        raise ArithmeticError("the surrogate has no gradient")
    return gradient.scatter(2, sampled, 0.0).abs().max().item()


@dataclass(frozen=True)
class DirectionStudy:
    """The cosines between RLSD's and GRPO's gradients.

    Attributes:
        sampled: λ → (n,) cosines of sampled groups under random teachers.
        searched: λ → (m,) cosines of the least coherent groups under the worst teachers that the search found.
        coherence: (n,) coherence of the sampled groups' GRPO gradients.
        guarantee_gap: Least cosine − guarantee over all cases above; negative would refute the bound.
        lengths: (k,) completion lengths of the closed-form model.
        worst: λ → (k,) least cosine of the expected gradients that a teacher can bring about.
        random: λ → (k, 3) 5 %, 50 % and 95 % quantiles under teachers that know nothing.
    """

    sampled: dict[float, NDArray]
    searched: dict[float, NDArray]
    coherence: NDArray
    guarantee_gap: float
    lengths: NDArray
    worst: dict[float, NDArray]
    random: dict[float, NDArray]


def study_direction(seed: int, count: int = 1000, teachers: int = 200) -> DirectionStudy:
    """Measure the cosine's distribution on sampled groups, search for the worst, and follow it in length."""
    cases = sample_cases(count, seed, SPREAD)
    values = coherence(cases)
    hardest = cases.select(values.argsort()[:SEARCHED])
    sampled: dict[float, NDArray] = {}
    searched: dict[float, NDArray] = {}
    gaps = []
    for mix in MIXES:
        found = turn_away(hardest, mix, EPSILON_W)
        for kept, studied in ((sampled, cases), (searched, found)):
            cosines = cosine(studied, mix, EPSILON_W)
            gaps.append(guarantee_gap(studied, cosines, mix))
            kept[mix] = cosines.numpy()
    worst = {mix: np.array([worst_cosine(length, mix, EPSILON_W) for length in LENGTHS]) for mix in MIXES}
    random = {mix: np.array([random_band(length, mix, teachers, seed) for length in LENGTHS]) for mix in MIXES}
    return DirectionStudy(sampled, searched, values.numpy(), min(gaps), np.array(LENGTHS), worst, random)


def guarantee_gap(cases: Cases, cosines: Tensor, mix: float) -> float:
    """Return the least of cosine − guaranteed cosine over cases."""
    return (cosines - guaranteed_cosine(coherence(cases), mix, EPSILON_W)).min().item()


def random_band(length: int, mix: float, teachers: int, seed: int) -> NDArray:
    """Return the 5 %, 50 % and 95 % quantiles of the cosine under random teachers, (3,)."""
    values = random_cosines(length, mix, EPSILON_W, spread=SPREAD, teachers=teachers, seed=seed)
    return np.quantile(values, [0.05, 0.5, 0.95])


def direction_checks(study: DirectionStudy) -> list[Check]:
    """Say what the study found."""
    checks = [
        at_most(
            "Ours",
            "cos(RLSD, GRPO) ≥ √(1−κ²), κ = λ·ε_w / coherence",
            -study.guarantee_gap,
            "largest shortfall",
            1e-12,
        )
    ]
    for mix in MIXES:
        checks.append(
            finding(
                "'Direction anchored'",
                f"sampled groups, λ = {mix:g}: how far the sum turns from GRPO's",
                float(study.searched[mix].min()),
                "least cosine found by the search",
                f"random teachers: median {np.median(study.sampled[mix]):.3f}, least {study.sampled[mix].min():.3f}",
            )
        )
        turned = study.lengths[study.worst[mix] < 0]
        at = int(turned[0])
        checks.append(
            finding(
                "'Direction anchored'",
                f"expected gradient, λ = {mix:g}: a teacher turns it to the exact opposite from some length on",
                float(study.worst[mix][study.lengths == at][0]),
                f"least cosine at {at} tokens",
                f"there a token's signal is {signal_per_token(at):.3f} < λ·ε_w = {mix * EPSILON_W:g}; teachers that "
                f"know nothing: median {study.random[mix][-1, 1]:.2f} at {study.lengths[-1]} tokens",
            )
        )
    return checks
