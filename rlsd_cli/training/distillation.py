"""Distillation on the student's own rollouts: a divergence to the teacher, alone or beside the policy loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rlsd_cli.divergences import divergence
from rlsd_cli.objectives import sequence_mean
from rlsd_cli.training.sharded import unshard_root
from rlsd_cli.training.shared_prompt import can_share, read_prompts_once
from rlsd_cli.training.teacher_pass import TeacherTrainer

# Logits of a chunk: 2^24 float32 numbers are 64 MB, for the student and for the teacher each.
CHUNK_ELEMENTS = 2**24


@contextmanager
def last_hidden_states(model: Any) -> Iterator[list[Tensor]]:
    """Collect the backbone's last hidden states (B, L, H) of every forward pass in the block."""
    captured: list[Tensor] = []
    backbone = model.get_base_model().base_model if hasattr(model, "peft_config") else model.base_model
    handle = backbone.register_forward_hook(lambda module, args, output: captured.append(output.last_hidden_state))
    try:
        yield captured
    finally:
        handle.remove()


def logits_of(model: Any, hidden: Tensor, temperature: float) -> Tensor:
    """Return the logits that a model's head gives for hidden states (N, H), over the temperature: (N, V) in float32."""
    config = model.config.get_text_config()
    unshard_root(model)
    logits = model.get_output_embeddings()(hidden).float()
    scale = getattr(config, "logit_scale", None)
    if scale is not None:
        logits = logits * scale
    if getattr(config, "logits_scaling", None) is not None:
        logits = logits / config.logits_scaling
    cap = getattr(config, "final_logit_softcapping", None)
    if cap is not None:
        logits = cap * torch.tanh(logits / cap)
    return logits / temperature


def in_chunks(function: Callable[[Tensor, Tensor], Tensor], student: Tensor, teacher: Tensor, rows: int) -> Tensor:
    """Apply ``function`` to chunks of ``rows`` tokens, recomputing each chunk in the backward pass.

    At no time are the logits of more than one chunk in memory, whatever the vocabulary.

    Args:
        function: Maps (n, H), (n, H') to (n, ...).
        student: (N, H) with gradient.
        teacher: (N, H').
        rows: Tokens per chunk.

    Returns:
        (N, ...).
    """
    if student.size(0) <= rows:
        return function(student, teacher)
    parts = [
        checkpoint(function, student[start : start + rows], teacher[start : start + rows], use_reentrant=False)
        for start in range(0, student.size(0), rows)
    ]
    return torch.cat(parts)


class DistillationTrainer(TeacherTrainer):
    """Loss = policy_weight · GRPO + distillation_weight · divergence(student, teacher).

    Inherited: the policy loss and its metrics; one student pass serves both terms. The divergence
    is averaged like the policy loss (``train.aggregation``), and corrected like it for rollouts by vLLM;
    rows without a reference add 0 and stay in the denominator, as in SDPO's official code and in TRL's.
    """

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        option = self.context.option
        student = self.accelerator.unwrap_model(model)
        width = inputs["completion_ids"].size(1)
        teacher_hidden = self._teacher_hidden(inputs, width)
        with last_hidden_states(student) as captured:
            policy_loss = super()._compute_loss(model, inputs)
        mask = inputs["completion_mask"] * inputs["has_reference"].unsqueeze(1)
        per_token, forward_kl = self._divergence(student, captured[-1][:, -width - 1 : -1], teacher_hidden, mask)
        self.log_mean("distillation/loss", per_token.detach(), mask)
        self.log_mean("teacher/kl_forward", forward_kl.detach(), mask)
        if "importance_sampling_ratio" in inputs:  # vLLM's rollouts: the policy loss has the same factor, from TRL
            per_token = per_token * inputs["importance_sampling_ratio"]
        loss = option("distillation_weight") * self._aggregate(per_token, inputs)
        if option("policy_weight"):
            loss = loss + option("policy_weight") * policy_loss
        return loss

    @torch.no_grad()
    def _teacher_hidden(self, inputs: dict[str, Any], width: int) -> Tensor:
        """Return the teacher's hidden states that predict the completion, (B, T, H')."""
        module = self.teacher.model(self.model)
        bare, student = self.accelerator.unwrap_model(module), self.accelerator.unwrap_model(self.model)
        with self.timer.part("teacher"), self.teacher.in_place(student), last_hidden_states(bare) as captured:
            # logits_to_keep=1: the head's work is not needed here, only the backbone's.
            if can_share(module, inputs):
                _, row_of, _ = read_prompts_once(module, inputs, logits_to_keep=1)
                return torch.cat([captured[0][row_of, -1:], captured[1]], dim=1)
            module(**self.teacher_inputs(inputs), logits_to_keep=1)
        return captured[-1][:, -width - 1 : -1]

    def _divergence(
        self, student: Any, student_hidden: Tensor, teacher_hidden: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return each completion token's divergence and, for the record, its full forward KL.

        Both are (B, T), and 0 where ``mask`` is 0.
        """
        option = self.context.option
        teacher = self.accelerator.unwrap_model(self.teacher.model(self.model))
        temperature = self.temperature

        def of_tokens(student_rows: Tensor, teacher_rows: Tensor) -> Tensor:
            with torch.no_grad():
                teacher_logits = logits_of(teacher, teacher_rows, temperature)
            student_logits = logits_of(student, student_rows, temperature)
            loss = divergence(
                student_logits,
                teacher_logits,
                support=option("support"),
                beta=option("beta"),
                top_k=option("top_k"),
                entry_clip=option("entry_clip"),
            )
            return torch.stack([loss, divergence(student_logits.detach(), teacher_logits)], dim=1)

        kept = mask.bool()
        rows = max(1, CHUNK_ELEMENTS // student.config.get_text_config().vocab_size)
        values = in_chunks(of_tokens, student_hidden[kept], teacher_hidden[kept], rows)
        grid = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
        return grid.masked_scatter(kept, values[:, 0]), grid.masked_scatter(kept, values[:, 1])

    def _aggregate(self, per_token: Tensor, inputs: dict[str, Any]) -> Tensor:
        """Average (B, T) as TRL averages the policy loss, scaled for gradient accumulation."""
        training = self.model.training
        mask = inputs["completion_mask"]
        if self.loss_type == "grpo":
            return sequence_mean(per_token, mask) / (self.current_gradient_accumulation_steps if training else 1)
        normalizer = inputs["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes
        if training:
            normalizer = normalizer * self.current_gradient_accumulation_steps / self.args.steps_per_generation
        return (per_token * mask).sum() / normalizer
