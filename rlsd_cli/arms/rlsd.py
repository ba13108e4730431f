"""RLSD: the environment gives the direction, the teacher the magnitude (arXiv 2604.03128, Algorithm 1).

    Â_t = A·[(1−λ) + λ·clip(exp(sign(A)·Δ_t), 1−ε_w, 1+ε_w)]
    Δ_t = sg(log π(y_t | x, r, y_<t) − log π(y_t | x, y_<t))

What changes against GRPO: the advantage becomes one per token. As in the official code, the
student's side of Δ is the current policy's log-prob from the very forward pass that carries the
gradient, so RLSD costs one extra forward pass: the teacher's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from rlsd_cli.arms import Arm
from rlsd_cli.config.layers import Section
from rlsd_cli.objectives import (
    clipped_share,
    evidence_weight,
    linear_decay,
    privileged_gain,
    rlsd_advantage,
)
from rlsd_cli.training.teacher_pass import TeacherTrainer


class Options(Section):
    """RLSD's objective. Defaults follow the paper's text."""

    mix: Annotated[float, Field(ge=0, le=1, description="λ at the start")] = 0.5
    mix_decay_steps: Annotated[int, Field(ge=0, description="steps over which λ falls to 0; 0 keeps it")] = 50
    epsilon_w: Annotated[float, Field(ge=0, lt=1, description="half-width of the evidence clip")] = 0.2
    negative_only: bool = Field(default=False, description="ablation: reweight only where A < 0")
    renormalise: bool = Field(default=False, description="ablation: weights of mean 1 in each completion")


class RLSDTrainer(TeacherTrainer):
    """GRPO with token advantages."""

    _pending: dict[str, Any] | None = None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        # TRL reads `advantages` after it has the student's log-probs; `_credit` fills them in there.
        batch = dict(inputs)
        batch["teacher_logps"] = self.teacher_logps(inputs)
        self._pending = batch
        try:
            return super()._compute_loss(model, batch)
        finally:
            self._pending = None

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        result = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if self._pending is not None:
            batch, self._pending = self._pending, None
            batch["advantages"] = self._credit(batch, student_logps=result[0])
        return result

    def _credit(self, batch: dict[str, Any], student_logps: Tensor) -> Tensor:
        """Return Â (B, T) and log the evidence's statistics."""
        option = self.context.option
        advantage, mask = batch["advantages"], batch["completion_mask"]
        scored = mask * batch["has_reference"].unsqueeze(1)
        delta = privileged_gain(batch["teacher_logps"], student_logps, scored)
        mix = linear_decay(self.state.global_step + 1, option("mix"), option("mix_decay_steps"))
        low, high = clipped_share(advantage, delta, scored, option("epsilon_w"))
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["rlsd/lambda"].append(mix)
        metrics["rlsd/weight_clip_low"].append(self.accelerator.reduce(low.float(), "mean").item())
        metrics["rlsd/weight_clip_high"].append(self.accelerator.reduce(high.float(), "mean").item())
        self.log_mean("rlsd/weight_mean", evidence_weight(advantage, delta, option("epsilon_w")), scored)
        self.log_mean("rlsd/delta_abs_mean", delta.abs(), scored)
        self.log_mean("teacher/kl", -delta, scored)
        return rlsd_advantage(
            advantage,
            delta,
            mix,
            option("epsilon_w"),
            negative_only=option("negative_only"),
            renormalise=option("renormalise"),
            mask=mask,
        )


ARM = Arm(
    name="rlsd",
    summary="GRPO's direction, the teacher's magnitude: Â_t = A·[(1−λ) + λ·clip(w_t)]",
    data="on-policy",
    direction="environment",
    trainer=RLSDTrainer,
    options=Options,
    defaults={"teacher": {"source": "synced", "sync_every": 10, "reference": "answer"}},
)
