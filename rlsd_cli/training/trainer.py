"""The trainer under every arm that samples: TRL's GRPOTrainer, and where an arm says so its teachers and its credit.

Inherited: sampling, rewards, group advantages, the clipped surrogate, the optimiser. Added: the rollouts of a step
as a parquet file, the share of them that mention a reference, the time of each part, the passes of the arm's views.

    loss = policy_weight · GRPO(token advantages of `Arm.credit`) + mean of `Arm.penalty`
           + distillation_weight · mean of `Arm.divergence`

An arm without one of the three has not that term, and GRPO's own advantages where it has no credit. Means are taken
as TRL takes the policy loss's (``train.aggregation``), with its correction for rollouts by vLLM; rows without a
teacher add 0 to the divergence and stay in the denominator, as in SDPO's official code and in TRL's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from torch import Tensor
from transformers import TrainerCallback
from trl import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from rlsd_cli.arms import load_arm
from rlsd_cli.arms.rollouts import Rollouts
from rlsd_cli.arms.tokens import Credit, Distributions, Tokens
from rlsd_cli.divergences import divergence
from rlsd_cli.leakage.decoys import shown
from rlsd_cli.leakage.detect import leaks
from rlsd_cli.models.images import without_empty_images
from rlsd_cli.objectives import sequence_mean
from rlsd_cli.training.arguments import rollout_arguments
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.continuations import Continuations
from rlsd_cli.training.data import REFERENCE_KINDS, VerifierReward
from rlsd_cli.training.fast_rollouts import FastRolloutsMixin
from rlsd_cli.training.head import chunk_rows, head_of, in_chunks, last_hidden_states
from rlsd_cli.training.means import TokenMeans
from rlsd_cli.training.mixtures import Mixtures, view_of
from rlsd_cli.training.passes import TeacherPasses
from rlsd_cli.training.recorder import write_rollouts
from rlsd_cli.training.small import hidden_states, reads_small, token_scores
from rlsd_cli.training.teacher import Teacher, teachers_of
from rlsd_cli.training.thoughts import thought_mask
from rlsd_cli.training.timer import StepTimer
from rlsd_cli.verifiers.reasoning import template_opening


class TeacherCallback(TrainerCallback):
    """Lets the teachers follow the policy after each optimisation step."""

    def __init__(self, trainer: ArmTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Update the teachers."""
        for teacher in self.trainer.teachers.values():
            teacher.after_step(state.global_step, self.trainer.accelerator.unwrap_model(self.trainer.model))


class ArmTrainer(FastRolloutsMixin, GRPOTrainer):
    """GRPO with records, with the teachers and the functions of the run's arm."""

    def __init__(self, context: RunContext, **arguments: Any) -> None:
        self.context = context
        self.arm = load_arm(context.config.method)
        self.options = self.arm.options.model_validate(context.config.objective)
        self.timer = StepTimer()
        self.reward = VerifierReward(
            context.task, template_opening(context.tokenizer, context.config.model.chat_template_kwargs)
        )
        self.views = dict(self.arm.views_of(self.options))
        self.teachers: dict[str, Teacher] = teachers_of(context, self.views.values())
        self.shown: dict[str, list[str | None]] = {}  # by view: the (first) privileged texts of the last step
        self._after_student: Callable[[Tensor, Tensor], None] | None = None
        self.plain_passes = False  # for whoever looks at the model's own hidden states: no pass is ours (`small`)
        self._hidden: Tensor | None = None  # the student's (B, T, D), where the pass is ours (`small`)
        super().__init__(
            model=context.model,
            reward_funcs=self.reward,
            args=rollout_arguments(context, **arguments),
            train_dataset=context.dataset,
            processing_class=context.tokenizer,
        )
        self.passes = TeacherPasses(self)
        self.mixtures = Mixtures(self.passes, context.config.teacher.references)
        self.means = TokenMeans(self.accelerator)
        for teacher in self.teachers.values():
            module = teacher.model(self.model)
            if module is not self.model:
                add_fused_lm_head(module, temperature=self.temperature)  # before the copy is sharded
            teacher.prepare(self.accelerator)
        self.add_callback(TeacherCallback(self))
        self.add_callback(self.means)

    def teacher_of(self, view: str) -> Teacher:
        """Return the teacher whose weights a view has."""
        return self.teachers[self.views[view_of(view)].weights]

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no model card per checkpoint: a card belongs to a published model."""

    # Rollouts

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        with self.timer.part("rollout"):
            output = super()._generate_and_score_completions(inputs)
        own = self.reward.record | {"advantage": output["advantages"].tolist()}
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        own["decoy"] = [row["decoy"] for row in inputs]
        own["truncated"] = [ids[-1] not in ends for ids in own.pop("completion_ids")]
        columns = {name: gather_object(values) for name, values in own.items()}
        rollouts = Rollouts(
            **{name: columns[name] for name in ("prompt_id", "completion", "correct", "extracted")},
            references={
                kind: gather_object([shown(row, kind) for row in inputs])
                for kind in (REFERENCE_KINDS if self.views else ())
            },
            feedback=gather_object(self.reward.feedback() if getattr(self.options, "feedback", False) else []),
            kind=self.context.config.teacher.reference,
            group_size=self.num_generations,
        )
        mine = slice(start := self.accelerator.process_index * len(inputs), start + len(inputs))
        self.shown = {}
        for name in self.views:
            parts = self.mixtures.shown(name, rollouts)
            self.mixtures.prepare(name, inputs, {part: texts[mine] for part, texts in parts.items()}, output)
            first = [
                next((text for text in each if text is not None), None) for each in zip(*parts.values(), strict=True)
            ]
            self.shown[name] = first
            self._log_number(f"{name}/present", sum(text is not None for text in first) / len(first))
        output["correct"] = torch.tensor(own["correct"], device=output["advantages"].device)
        if self.arm.resamples and (how := self.arm.resamples(self.options)):
            with self.timer.part("continuations"):
                output["resampled"] = Continuations(self).credit(inputs, output, own["reward"], how)
        columns["reference"] = [text or "" for text in next(iter(self.shown.values()), [None] * len(rollouts))]
        self._leave_decoys_out_of_means(columns)
        self._record(columns)
        return output

    def _leave_decoys_out_of_means(self, columns: dict[str, list[Any]]) -> None:
        """Replace the step's mean reward, which is reported as accuracy, by that of the questions without a decoy."""
        kept = [reward for reward, decoy in zip(columns["reward"], columns["decoy"], strict=True) if not decoy]
        if len(kept) < len(columns["decoy"]):
            for name in ("reward", f"rewards/{self.reward.__name__}/mean"):
                logged = self._metrics["train" if self.model.training else "eval"][name]
                logged[-1] = sum(kept) / len(kept) if kept else float("nan")

    def _record(self, columns: dict[str, list[Any]]) -> None:
        """Log the leakage rate of the step and write its rollouts."""
        found = [leaks(text, prompt) for text, prompt in zip(columns["completion"], columns["prompt"], strict=True)]
        self._log_number("leakage/rate", sum(found) / len(found))
        step = self.state.global_step + 1
        due = self.model.training and step % self.context.config.log.completions_every == 0
        if due and self.accelerator.is_main_process:
            write_rollouts(self.context.run_dir, step, columns, self.num_generations)

    def _log_number(self, name: str, value: float) -> None:
        """Log a number that all processes share."""
        self._metrics["train" if self.model.training else "eval"][name].append(value)

    # Loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        arm, step = self.arm, self.state.global_step + 1
        options: Any = self.options.at(step)
        batch = without_empty_images(dict(inputs))
        teachers: dict[str, Tensor] = {}
        if arm.credit or arm.penalty:
            teachers = {name: self.mixtures.logps(name, batch) for name, view in self.views.items() if view.logps}
        hidden = self.mixtures.hidden("teacher", batch) if arm.divergence else None
        penalty: list[Tensor] = []

        def after_student(logps: Tensor, entropy: Tensor) -> None:
            tokens = Tokens(
                student=logps,
                teachers=teachers,
                present={view: batch[f"{view}_present"] for view in self.views},
                entropy=entropy.detach(),
                advantage=batch["advantages"],
                correct=batch["correct"],
                mask=batch["completion_mask"],
                ids=batch["completion_ids"],
                step=step,
                resampled=batch.get("resampled"),
                thought=self._thoughts(batch) if getattr(options, "thought_only", False) else None,
            )
            # TRL reads `advantages` after it has the student's log-probs, which is here.
            if arm.penalty:
                penalty.append(self._logged(arm.penalty(tokens, options)))
            if arm.credit:
                credit = self._logged(arm.credit(tokens, options)).detach()
                self.means.compare(credit, tokens.advantage, tokens.mask)
                batch["advantages"] = credit

        student = self.accelerator.unwrap_model(model)
        self._after_student = after_student
        try:
            with ExitStack() as block:
                captured = block.enter_context(last_hidden_states(student)) if arm.divergence else []
                loss = super()._compute_loss(model, batch)
        finally:
            self._after_student = None
            own, self._hidden = self._hidden, None
        if arm.divergence:
            seen = captured[-1][:, -batch["completion_ids"].size(1) - 1 : -1] if own is None else own
            values = self._divergence(student, seen, hidden, batch, inputs["advantages"], options)
            distilled = options.distillation_weight * self._aggregate(values, batch)
            loss = distilled + options.policy_weight * loss if options.policy_weight else distilled
        for values in penalty:
            loss = loss + self._aggregate(values, batch)
        return loss

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, **kwargs: Any
    ) -> Any:
        if reads_small(self, model, logits_to_keep):
            prompts, completion = input_ids[:, :-logits_to_keep], input_ids[:, -logits_to_keep:]
            prompt_mask, mask = attention_mask[:, :-logits_to_keep], attention_mask[:, -logits_to_keep:]
            hidden = hidden_states(model, prompts, prompt_mask, completion)
            if self._after_student is not None:
                self._hidden = hidden
            result = (*token_scores(model, hidden, completion, mask, self.temperature), None)
        else:
            result = super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, **kwargs
            )
        after, self._after_student = self._after_student, None  # the student's pass is the loss's first
        if after is not None:
            after(cast(Tensor, result[0]), cast(Tensor, result[1]))
        return result

    def _thoughts(self, batch: dict[str, Any]) -> Tensor:
        """Return (B, T), 1 on the completions' tokens inside a thought; log their share."""
        thought = thought_mask(batch["completion_ids"], batch["completion_mask"], self._tokenizer)
        self.means.add("rlsd/thought", thought, batch["completion_mask"])
        return thought

    def _logged(self, credit: Credit) -> Tensor:
        """Log what an arm's function tells, and return its values."""
        for name, metric in credit.metrics.items():
            if isinstance(metric, tuple):
                self.means.add(name, *metric)
            else:
                self._log_number(name, float(metric))
        return credit.values

    def _divergence(
        self, student: Any, hidden: Tensor, teacher_hidden: Any, batch: dict[str, Any], advantage: Tensor, options: Any
    ) -> Tensor:
        """Return each completion token's divergence, (B, T), 0 where there is no teacher; log it and the forward KL."""
        mask = batch["completion_mask"] * batch["teacher_present"].unsqueeze(1)
        kept = mask.bool()
        teacher = self.accelerator.unwrap_model(self.teacher_of("teacher").model(self.model))
        student_head, teacher_head = head_of(student), head_of(teacher)
        step = self.state.global_step + 1

        def of_tokens(rows: Tensor, teacher_rows: Tensor, advantage: Tensor, correct: Tensor, ids: Tensor) -> Tensor:
            with torch.no_grad():
                teacher_logits = self.mixtures.logits("teacher", teacher_head, teacher_rows, self.temperature)
            logits = student_head(rows) / self.temperature
            seen = Distributions(logits, teacher_logits, advantage, correct, ids, step)
            loss = self.arm.divergence(seen, options)  # type: ignore[misc]
            columns = loss if isinstance(loss, tuple) else (loss,)
            return torch.stack([divergence(logits.detach(), teacher_logits), *columns], dim=1)

        values = in_chunks(
            of_tokens,
            chunk_rows(student),
            hidden[kept],
            teacher_hidden[kept],
            *(column.unsqueeze(1).expand(mask.shape)[kept] for column in (advantage, batch["correct"])),
            batch["completion_ids"][kept],
        )
        grid = torch.zeros(mask.shape, dtype=values.dtype, device=values.device)
        forward_kl, per_token, *weight = (grid.masked_scatter(kept, column) for column in values.unbind(dim=1))
        if weight:
            scale = weight[0].detach()
            per_token = per_token * scale * (scale > 0).sum() / scale.sum().clamp(min=1e-12)
        self.means.add("distillation/loss", per_token, mask)
        self.means.add("teacher/kl_forward", forward_kl, mask)
        return per_token

    def _aggregate(self, per_token: Tensor, batch: dict[str, Any]) -> Tensor:
        """Average (B, T) as TRL averages the policy loss, scaled for gradient accumulation."""
        if "importance_sampling_ratio" in batch:  # vLLM's rollouts: the policy loss has the same factor, from TRL
            per_token = per_token * batch["importance_sampling_ratio"]
        training, mask = self.model.training, batch["completion_mask"]
        if self.loss_type == "grpo":
            return sequence_mean(per_token, mask) / (self.current_gradient_accumulation_steps if training else 1)
        normalizer = batch["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes
        if training:
            normalizer = normalizer * self.current_gradient_accumulation_steps / self.args.steps_per_generation
        return (per_token * mask).sum() / normalizer
