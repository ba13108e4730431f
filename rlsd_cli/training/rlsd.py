"""RLSD's trainer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rlsd_cli.objectives import (
    clipped_share,
    evidence_weight,
    linear_decay,
    privileged_gain,
    rlsd_advantage,
)
from rlsd_cli.training.teacher_pass import TeacherTrainer


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
