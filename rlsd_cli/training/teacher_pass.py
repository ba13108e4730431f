"""The open-book pass: the same completions, scored under the teacher's prompt."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.utils import add_fused_lm_head, pad

from rlsd_cli.models.images import COUNTS, PER_IMAGE, PER_TOKEN, extended
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.rollout import RolloutTrainer
from rlsd_cli.training.shared_prompt import can_share, sampled_logps
from rlsd_cli.training.teacher import build_teacher


class TeacherCallback(TrainerCallback):
    """Lets the teacher follow the policy after each optimisation step."""

    def __init__(self, trainer: TeacherTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Update the teacher."""
        trainer = self.trainer
        trainer.teacher.after_step(state.global_step, trainer.accelerator.unwrap_model(trainer.model))


class TeacherTrainer(RolloutTrainer):
    """A rollout trainer with a teacher. Arms use the scores; this class makes them.

    The batch gains ``teacher_prompt_ids`` and ``teacher_prompt_mask`` (B, P', left-padded) and
    ``has_reference`` (B,), 0 where the privileged text is None: such rows have no teacher. An
    empty text means a teacher that needs none (OPD's). With images, ``teacher_mm_token_type_ids`` (or what
    the model's processor calls it; B, P') is added, too.
    """

    def __init__(self, context: RunContext, external_teacher: Any = None, **arguments: Any) -> None:
        self.teacher = build_teacher(context.config.teacher, context.model, external_teacher)
        super().__init__(context, **arguments)
        module = self.teacher.model(self.model)
        if module is not self.model:
            add_fused_lm_head(module, temperature=self.temperature)  # before the copy is sharded
        self.teacher.prepare(self.accelerator)
        self.add_callback(TeacherCallback(self))

    def privileged_texts(self, rows: list[dict[str, Any]]) -> list[str | None]:
        """Return the reference of the configured kind; None where the data set has none."""
        kind = self.context.config.teacher.reference
        return [row[kind] or None for row in rows]

    def teacher_prompts(self, rows: list[dict[str, Any]], texts: list[str | None]) -> list[Any]:
        """Return the open-book prompts, with the row's images; a row without privileged text keeps the student's."""
        task = self.context.task
        prompts = [
            row["prompt"] if not text else task.teacher_prompt(row["prompt"], text)
            for row, text in zip(rows, texts, strict=True)
        ]
        return [
            prepare_multimodal_messages(prompt, images=row["images"]) if row.get("images") else prompt
            for row, prompt in zip(rows, prompts, strict=True)
        ]

    def prepare_teacher(self, rows: list[dict[str, Any]], texts: list[str | None], output: dict[str, Any]) -> None:
        """Tokenize the open-book prompts by the student's own path and add them to the batch.

        Images: the pixels in the batch serve both prompts, which have the same images in the same order. How
        many tokens an image takes, and where, depends on the prompt, so token types are made anew.
        """
        with self.timer.part("teacher"):
            # The rollouts of a question mostly share their open-book prompt: its images are processed once.
            keys = [(row["index"], text) for row, text in zip(rows, texts, strict=True)]
            first = {key: keys.index(key) for key in keys}
            place = {key: number for number, key in enumerate(first)}
            once = list(first.values())
            prompts = self.teacher_prompts([rows[i] for i in once], [texts[i] for i in once])
            ids, _, fields = self._tokenize_prompts(prompts)
            device = output["prompt_ids"].device

            def padded(lists: Any, value: int) -> Tensor:
                tensors = [torch.as_tensor(lists[place[key]]) for key in keys]
                return pad(tensors, padding_value=value, padding_side="left").to(device)

            output["teacher_prompt_ids"] = padded(ids, self._tokenizer.pad_token_id)
            output["teacher_prompt_mask"] = padded([[1] * len(row) for row in ids], 0)
            for name in PER_TOKEN:
                if name in fields and "pixel_values" in output:
                    output[f"teacher_{name}"] = padded(fields[name], 0)
            output["has_reference"] = torch.tensor([text is not None for text in texts], device=device)

    def teacher_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the teacher's forward pass: ids and mask, both (B, P' + T), and the images'."""
        width = inputs["completion_ids"].size(1)
        return {
            "input_ids": torch.cat([inputs["teacher_prompt_ids"], inputs["completion_ids"]], dim=1),
            "attention_mask": torch.cat([inputs["teacher_prompt_mask"], inputs["completion_mask"]], dim=1),
            **{name: inputs[name] for name in PER_IMAGE if name in inputs},
            **{name: extended(inputs[f"teacher_{name}"], width) for name in PER_TOKEN if f"teacher_{name}" in inputs},
        }

    @torch.no_grad()
    def teacher_logps(self, inputs: dict[str, Any]) -> Tensor:
        """Return the teacher's log-probs of the sampled tokens, (B, T), at the sampling temperature."""
        module = self.teacher.model(self.model)
        with self.timer.part("teacher"), self.teacher.in_place(self.accelerator.unwrap_model(self.model)):
            # With the policy's own weights the pass stays the student's, so that equal prompts give exactly Δ = 0.
            if module is not self.model and can_share(module, inputs):
                with self.accelerator.autocast():
                    return sampled_logps(module, inputs, self.temperature)
            logps, _, _ = self._get_per_token_logps_and_entropies(
                module,
                **self.teacher_inputs(inputs),
                **{name: inputs[name] for name in COUNTS if name in inputs},
                logits_to_keep=inputs["completion_ids"].size(1),
            )
        return logps

    def log_mean(self, name: str, values: Tensor, mask: Tensor) -> None:
        """Log the mean of ``values`` (B, T) over the tokens in ``mask`` (B, T), over all processes."""
        totals = torch.stack([(values * mask).sum(), mask.sum().to(values.dtype)])
        total, count = self.accelerator.reduce(totals, reduction="sum").tolist()
        mode = "train" if self.model.training else "eval"
        self._metrics[mode][name].append(total / max(count, 1.0))
