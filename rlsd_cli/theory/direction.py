"""What "direction anchored" guarantees of RLSD's summed gradient, and what it does not.

RLSD multiplies each token's GRPO gradient h_j by a factor in [1−λε_w, 1+λε_w]. That keeps the sign of
every summand, not the direction of the sum: the summands of a group cancel, because its
advantages have mean zero. With the coherence C = ‖Σ h_j‖ / Σ‖h_j‖ and κ = λε_w/C, the triangle
inequality gives cos(RLSD, GRPO) ≥ √(1−κ²) where κ < 1, and nothing where κ ≥ 1.

Shapes: n cases, G rollouts a group, T tokens a rollout, D features, P = V·D parameters. The model is a
softmax of shared features, logits(s) = W·f(s): unlike a table it lets contexts interfere. A context s
is a position and the token before it, S = 1 + (T−1)·V of them, so rollouts of a group share contexts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rlsd_cli.objectives import group_advantage, rlsd_advantage
from rlsd_cli.theory.worlds import normal

GROUP, TOKENS, VOCABULARY, FEATURES = 8, 12, 6, 8
CONTEXTS = 1 + (TOKENS - 1) * VOCABULARY
GOOD_TOKENS = VOCABULARY // 2


@dataclass(frozen=True)
class Cases:
    """Sampled groups, with what their gradients are made of.

    Attributes:
        scores: (n, G, T, P) ∇_θ log π(y_t|x, y_<t).
        advantage: (n, G) group advantages A, both signs in each group.
        student: (n, S, V) log-probs of the student.
        evidence: (n, S, V) what the reference adds to the student's logits.
        contexts: (n, G, T) index of each sampled token's context.
        tokens: (n, G, T) sampled tokens.
    """

    scores: Tensor
    advantage: Tensor
    student: Tensor
    evidence: Tensor
    contexts: Tensor
    tokens: Tensor

    def select(self, index: Tensor) -> Cases:
        """Return the cases at ``index``."""
        return Cases(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def gain(self) -> Tensor:
        """Return Δ_t of the sampled tokens, (n, G, T); the teacher is a proper distribution at every context."""
        teacher = torch.log_softmax(self.student + self.evidence, dim=-1)
        case = torch.arange(len(self.student))[:, None, None]
        return (teacher - self.student)[case, self.contexts, self.tokens]


def sample_cases(count: int, seed: int, spread: float = 0.5) -> Cases:
    """Draw groups of rollouts with rewards, from random students and teachers.

    Each case has a sharpness of its own, from uniform to nearly deterministic rollouts. The verdict is
    whether at least half of the tokens are good ones, so every token matters a little. Groups with equal
    rewards have no advantage and are left out.

    Args:
        count: n.
        seed: Decides everything.
        spread: Standard deviation of the evidence, in nats.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = 2 * count
    features = normal((drawn, CONTEXTS, FEATURES), generator) / FEATURES**0.5
    sharpness = 4 * torch.rand((drawn, 1, 1), generator=generator, dtype=torch.float64)
    weights = normal((drawn, FEATURES, VOCABULARY), generator)
    student = torch.log_softmax(sharpness * (features @ weights), dim=-1)
    contexts, tokens = sample_rollouts(student, generator)
    rewards = ((tokens < GOOD_TOKENS).sum(-1) >= TOKENS / 2).double()
    mixed = torch.nonzero(rewards.std(dim=1) > 0).flatten()[:count]
    case = torch.arange(drawn)[:, None, None]
    pushed = torch.nn.functional.one_hot(tokens, VOCABULARY) - student[case, contexts].exp()
    cases = Cases(
        scores=(pushed.unsqueeze(-1) * features[case, contexts].unsqueeze(-2)).flatten(-2),
        advantage=group_advantage(rewards.flatten(), GROUP).view(drawn, GROUP),
        student=student,
        evidence=spread * normal((drawn, CONTEXTS, VOCABULARY), generator),
        contexts=contexts,
        tokens=tokens,
    )
    return cases.select(mixed)


def sample_rollouts(student: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sample a group from each student (n, S, V); return contexts and tokens, both (n, G, T)."""
    cases = len(student)
    case = torch.arange(cases)[:, None]
    context = torch.zeros(cases, GROUP, dtype=torch.long)
    contexts, tokens = [], []
    for position in range(TOKENS):
        probs = student[case, context].exp()
        token = torch.multinomial(probs.flatten(0, 1), 1, generator=generator).view(cases, GROUP)
        contexts.append(context)
        tokens.append(token)
        context = 1 + position * VOCABULARY + token
    return torch.stack(contexts, -1), torch.stack(tokens, -1)


def grpo_summands(cases: Cases) -> Tensor:
    """Return h_j = A_i·∇log π(y_t), (n, G·T, P)."""
    return (cases.advantage[..., None, None] * cases.scores).flatten(1, 2)


def rlsd_gradient(cases: Cases, mix: float, epsilon_w: float) -> Tensor:
    """Return Σ Â_t·∇log π(y_t), (n, P)."""
    gain = cases.gain()
    credit = rlsd_advantage(cases.advantage.flatten(), gain.flatten(0, 1), mix, epsilon_w).view_as(gain)
    return (credit.unsqueeze(-1) * cases.scores).sum(dim=(1, 2))


def cosine(cases: Cases, mix: float, epsilon_w: float) -> Tensor:
    """Return the cosine between RLSD's and GRPO's summed gradients, (n,)."""
    return torch.cosine_similarity(
        rlsd_gradient(cases, mix, epsilon_w), grpo_summands(cases).sum(1), dim=-1, eps=1e-300
    )


def coherence(cases: Cases) -> Tensor:
    """Return C = ‖Σ h_j‖ / Σ‖h_j‖ of GRPO's gradient, (n,) in [0, 1]."""
    summands = grpo_summands(cases)
    return summands.sum(1).norm(dim=-1) / summands.norm(dim=-1).sum(1)


def guaranteed_cosine(coherence: Tensor, mix: float, epsilon_w: float) -> Tensor:
    """Return the least cosine that the bounds of the weights allow: √(1−κ²), or −1 where κ = λε_w/C ≥ 1."""
    kappa = mix * epsilon_w / coherence
    return torch.where(kappa < 1, (1 - kappa.clamp(max=1).square()).sqrt(), -torch.ones_like(kappa))


def turn_away(cases: Cases, mix: float, epsilon_w: float, *, steps: int = 150, rate: float = 0.03) -> Cases:
    """Search teachers that turn RLSD's summed gradient away from GRPO's, by descent on the cosine.

    Students, rollouts and rewards stay as drawn; only the evidence of the reference is searched, so
    each result is a teacher that could exist.

    Args:
        cases: Starting points.
        mix: λ.
        epsilon_w: ε_w.
        steps: Adam steps.
        rate: Adam's learning rate, in nats of evidence.

    Returns:
        The cases with the evidence of the lowest cosine met.
    """
    # Evidence within the clip range: beyond it the weight is constant and has no gradient.
    evidence = (0.1 * cases.evidence).requires_grad_(True)
    best = torch.full_like(cases.advantage[:, 0], 2.0)
    kept = evidence.detach().clone()
    optimizer = torch.optim.Adam([evidence], lr=rate)
    for _ in range(steps):
        values = cosine(replace(cases, evidence=evidence), mix, epsilon_w)
        better = values.detach() < best
        best = torch.where(better, values.detach(), best)
        kept[better] = evidence.detach()[better]
        optimizer.zero_grad()
        values.sum().backward()
        optimizer.step()
    return replace(cases, evidence=kept)
