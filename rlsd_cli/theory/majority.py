"""A model in which RLSD's expected gradient is known in closed form, for completions of any length.

T tokens, each good or bad with probability 1/2; the verdict is right when most are good (T odd). One
logit per position, so the gradient of position t is proportional to E[Â_t·(±1)]. A token moves the
chance of success by δ_T = E[A|good] = C(T−1, (T−1)/2)/2^(T−1) ≈ √(2/(πT)): the environment's
signal per token falls with the length. RLSD's factor does not: a teacher that disfavours the good
token beyond the clip changes the position's expected gradient from δ_T to δ_T − λε_w, and one that
favours it to δ_T + λε_w. Where λε_w > δ_T the teacher decides the sign.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from rlsd_cli.objectives import rlsd_advantage


def signal_per_token(tokens: int) -> float:
    """Return δ_T = E[A | the token is good].

    Raises:
        ValueError: ``tokens`` is not odd and positive.
    """
    if tokens < 1 or tokens % 2 == 0:
        raise ValueError(f"the number of tokens must be odd and positive, not {tokens}")
    half = (tokens - 1) // 2
    return math.exp(math.lgamma(tokens) - 2 * math.lgamma(half + 1) - (tokens - 1) * math.log(2))


def position_gradient(tokens: int, teacher_good: NDArray, mix: float, epsilon_w: float) -> NDArray:
    """Return RLSD's expected gradient at positions whose teacher finds the good token with a given probability.

    Args:
        tokens: T, odd.
        teacher_good: (...,) P_T(good | x, r), between 0 and 1.
        mix: λ; 0 gives GRPO's gradient.
        epsilon_w: ε_w.

    Returns:
        (...,) E[Â_t·s_t], s_t = +1 for the good token and −1 for the bad; δ_T for GRPO.
    """
    right_given_good = (1 + signal_per_token(tokens)) / 2
    good = torch.as_tensor(teacher_good, dtype=torch.float64).reshape(-1)
    # Rows: (verdict, token); the advantage of a right completion is +1 and of a wrong one −1.
    total = torch.zeros_like(good)
    for verdict in (1.0, -1.0):
        for sign, probability in ((1.0, good), (-1.0, 1 - good)):
            agrees = right_given_good if verdict * sign > 0 else 1 - right_given_good
            gain = torch.log(2 * probability).unsqueeze(1)
            credit = rlsd_advantage(torch.full_like(good, verdict), gain, mix, epsilon_w).squeeze(1)
            total += 0.5 * agrees * sign * credit
    return total.reshape(np.shape(teacher_good)).numpy()


def worst_cosine(tokens: int, mix: float, epsilon_w: float) -> float:
    """Return the least cosine between RLSD's and GRPO's expected gradients that a teacher can bring about.

    GRPO's gradient is the same at all positions, so only the number of positions matters at which the
    teacher is against the good token; every number is tried.
    """
    against, for_good = position_gradient(tokens, np.array([0.0, 1.0]), mix, epsilon_w)
    opposed = np.arange(tokens + 1)
    total = opposed * against + (tokens - opposed) * for_good
    norm = np.sqrt(opposed * against**2 + (tokens - opposed) * for_good**2)
    return float((total / (np.maximum(norm, 1e-300) * math.sqrt(tokens))).min())


def random_cosines(tokens: int, mix: float, epsilon_w: float, *, spread: float, teachers: int, seed: int) -> NDArray:
    """Return the cosines under teachers that know nothing: evidence for the good token ~ N(0, spread²), (teachers,).

    Args:
        tokens: T, odd.
        mix: λ.
        epsilon_w: ε_w.
        spread: Standard deviation of the teacher's log-odds, in nats.
        teachers: Number of teachers drawn.
        seed: Decides the draws.
    """
    log_odds = spread * np.random.default_rng(seed).standard_normal((teachers, tokens))
    gradient = position_gradient(tokens, 1 / (1 + np.exp(-log_odds)), mix, epsilon_w)
    return gradient.sum(1) / (np.linalg.norm(gradient, axis=1) * math.sqrt(tokens))
