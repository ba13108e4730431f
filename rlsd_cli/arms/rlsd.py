"""RLSD: the environment gives the direction, the teacher the magnitude (arXiv 2604.03128, Algorithm 1).

    Â_t = A·[(1−λ) + λ·clip(exp(sign(A)·Δ_t), 1−ε_w, 1+ε_w)]
    Δ_t = sg(log π(y_t | x, r, y_<t) − log π(y_t | x, y_<t))

What changes against GRPO: the advantage becomes one per token. As in the official code, the
student's side of Δ is the current policy's log-prob from the very forward pass that carries the
gradient, so RLSD costs one extra forward pass: the teacher's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from rlsd_cli.arms import Arm, Look, Objective, View
from rlsd_cli.arms.tokens import Credit, Resampling, Tokens

if TYPE_CHECKING:
    from torch import Tensor

# Whose evidence it is: the teacher's, that of controls which say what its content is worth, or the truth.
Evidence = Literal[
    "teacher", "wrong_reference", "other_reference", "permuted", "noise", "flipped", "sign_mean", "surprisal", "vine"
]
SOURCES = {"wrong_reference": "wrong", "other_reference": "other"}


class Options(Objective):
    """RLSD's objective. Defaults follow the paper's text."""

    mix: Annotated[float, Field(ge=0, le=1, description="λ at the start")] = 0.5
    mix_decay_steps: Annotated[int, Field(ge=0, description="steps over which λ falls to 0; 0 keeps it")] = 50
    epsilon_w: Annotated[float, Field(ge=0, lt=1, description="half-width of the evidence clip")] = 0.2
    mix_warmup_steps: Annotated[int, Field(ge=0, description="steps over which λ first rises from 0")] = 0
    thought_only: bool = Field(default=False, description="official switch: reweight inside <thought>…</thought> only")
    negative_only: bool = Field(default=False, description="ablation: reweight only where A < 0")
    evidence: Evidence = Field(default="teacher", description="control: what stands for Δ (docs/arms.md)")
    renormalise: bool = Field(default=False, description="ablation: weights of mean 1 in each completion")
    unclipped: bool = Field(default=False, description="vine: the true advantages themselves in the place of A·w")
    continuations: Annotated[int, Field(ge=1, description="vine: K, sampled from the start of each step")] = 4
    most_steps: Annotated[int, Field(ge=1, description="vine: of longer completions steps are taken together")] = 32

    @model_validator(mode="after")
    def check_unclipped(self) -> Self:
        """Only true advantages have a size of their own; what changes weights has nothing to change there."""
        if self.unclipped and self.evidence != "vine":
            raise ValueError("unclipped=true goes with evidence=vine only: set both, or leave it out")
        if self.unclipped and (self.negative_only or self.renormalise or self.thought_only):
            raise ValueError(
                "unclipped=true has no weights for negative_only, renormalise or thought_only: leave these out"
            )
        return self

    def unused(self) -> set[str]:
        """Without evidence=vine its settings say nothing."""
        of_vine = set() if self.evidence == "vine" else {"unclipped", "continuations", "most_steps"}
        return super().unused() | of_vine


def evidence_of(tokens: Tokens, options: Options, scored: Tensor) -> Tensor:
    """Return Δ (B, T), 0 outside ``scored``: the teacher's, or what ``objective.evidence`` puts in its place."""
    from rlsd_cli import evidence, objectives

    if options.evidence == "vine":
        return evidence.in_proportion(_resampled(tokens), tokens.advantage, scored)
    if options.evidence == "surprisal":
        return evidence.surprisal(tokens.student, tokens.advantage, scored)
    delta = objectives.privileged_gain(tokens.teachers["teacher"], tokens.student, scored)
    if options.evidence == "sign_mean":
        return evidence.sign_mean(delta, scored, tokens.advantage, options.epsilon_w)
    return evidence.disarranged(options.evidence, delta, scored, 1_000_003 * tokens.step + int(tokens.ids.sum()))


def _resampled(tokens: Tokens) -> Tensor:
    if tokens.resampled is None:
        raise ValueError("evidence=vine needs the advantages of resampled steps, which only a trainer that samples has")
    return tokens.resampled


def views(options: Options) -> dict[str, View]:
    """Return the teacher's view: the reference, or a control's wrong one; none for what asks no teacher."""
    if options.evidence in ("vine", "surprisal"):
        return {}
    return {"teacher": View(SOURCES.get(options.evidence, "reference"))}


def resamples(options: Options) -> Resampling | None:
    """Return how the true credit is estimated, where it is asked for; clipped, rows with A = 0 have none to give."""
    if options.evidence != "vine":
        return None
    return Resampling(options.continuations, options.most_steps, every_row=options.unclipped)


def token_credit(tokens: Tokens, options: Options) -> Credit:
    """Return Â (B, T) of Algorithm 1, and the evidence's statistics."""
    from rlsd_cli import objectives

    mix = objectives.linear_decay(tokens.step, options.mix, options.mix_decay_steps, options.mix_warmup_steps)
    if options.unclipped:
        true = _resampled(tokens)
        plain = tokens.advantage.unsqueeze(1)
        return Credit(
            (1 - mix) * plain + mix * true,
            {"rlsd/lambda": mix, "vine/advantage_abs_mean": (true.abs(), tokens.mask)},
        )
    taught = bool(tokens.teachers)
    scored = tokens.scored() if taught else tokens.mask
    scored = scored if tokens.thought is None else scored * tokens.thought
    delta = evidence_of(tokens, options, scored)
    weight = objectives.evidence_weight(tokens.advantage, delta, options.epsilon_w)
    low, high = objectives.clipped(tokens.advantage, delta, options.epsilon_w)
    directed = scored * (tokens.advantage != 0).unsqueeze(1)
    of_delta = {"rlsd/delta_abs_mean": (delta.abs(), scored), "teacher/kl": (-delta, scored)}
    return Credit(
        objectives.rlsd_advantage(
            tokens.advantage,
            delta,
            mix,
            options.epsilon_w,
            negative_only=options.negative_only,
            renormalise=options.renormalise,
            mask=tokens.mask,
        ),
        {
            "rlsd/lambda": mix,
            "rlsd/weight_clip_low": (low, directed),
            "rlsd/weight_clip_high": (high, directed),
            "rlsd/weight_clip_low_all": (low, scored),
            "rlsd/weight_clip_high_all": (high, scored),
            "rlsd/weight_mean": (weight, scored),
            "rlsd/weight_mean_right": (weight, scored * (tokens.advantage > 0).unsqueeze(1)),
            "rlsd/weight_mean_wrong": (weight, scored * (tokens.advantage < 0).unsqueeze(1)),
            **(of_delta if taught else {}),
        },
    )


ARM = Arm(
    name="rlsd",
    summary="GRPO's direction, the teacher's magnitude: Â_t = A·[(1−λ) + λ·clip(w_t)]",
    data="on-policy",
    direction="environment",
    look=Look(title="RLSD", colour="#0072B2", marker="o"),
    source="arXiv 2604.03128",
    docs="docs/arms.md#rlsd",
    options=Options,
    defaults={"teacher": {"source": "synced", "sync_every": 10, "reference": "answer"}},
    views=views,
    credit=token_credit,
    resamples=resamples,
    blame=True,
    like="",
)
