"""The teachers' passes: the same completions, scored under the prompt of each view."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.utils import pad

from rlsd_cli.models.images import COUNTS, PER_IMAGE, PER_TOKEN, extended
from rlsd_cli.models.limits import check_context
from rlsd_cli.tasks.templates import open_book
from rlsd_cli.training.head import last_hidden_states
from rlsd_cli.training.shared_prompt import can_share, read_prompts_once, sampled_logps
from rlsd_cli.training.small import hidden_states, reads_small


class TeacherPasses:
    """Makes the prompts of every view and runs its teacher over them.

    For a view called V the batch gains ``V_prompt_ids`` and ``V_prompt_mask`` (B, P', left-padded) and
    ``V_present`` (B,), false where the view has no privileged text: such rows have no teacher. An empty text
    means a teacher that needs none. With images, ``V_mm_token_type_ids`` (or what the model's processor
    calls it; B, P') is added, too.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def prompts(self, rows: list[dict[str, Any]], texts: list[str | None]) -> list[Any]:
        """Return the open-book prompts, with the row's images; a row without privileged text keeps the student's."""
        task = self.trainer.context.task
        prompts = [
            row["prompt"] if not text else open_book(task, row["prompt"], text, row.get("fields"))
            for row, text in zip(rows, texts, strict=True)
        ]
        return [
            prepare_multimodal_messages(prompt, images=row["images"]) if row.get("images") else prompt
            for row, prompt in zip(rows, prompts, strict=True)
        ]

    def tokenized(self, prompts: list[Any]) -> Any:
        """Tokenize prompts by the student's own path, with the teacher's variables of the chat template."""
        trainer, own = self.trainer, self.trainer.context.config.teacher.chat_template_kwargs
        students = trainer.chat_template_kwargs
        trainer.chat_template_kwargs = students if own is None else own
        try:
            return trainer._tokenize_prompts(prompts)
        finally:
            trainer.chat_template_kwargs = students

    def prepare(self, view: str, rows: list[dict[str, Any]], texts: list[str | None], output: dict[str, Any]) -> None:
        """Tokenize a view's prompts by the student's own path and add them to the batch.

        Images: the pixels in the batch serve all prompts, which have the same images in the same order. How
        many tokens an image takes, and where, depends on the prompt, so token types are made anew.
        """
        trainer = self.trainer
        with trainer.timer.part("teacher"):
            # The rollouts of a question mostly share their open-book prompt: its images are processed once.
            keys = [(row["index"], text) for row, text in zip(rows, texts, strict=True)]
            first = {key: keys.index(key) for key in keys}
            place = {key: number for number, key in enumerate(first)}
            once = list(first.values())
            prompts = self.prompts([rows[i] for i in once], [texts[i] for i in once])
            ids, _, fields = self.tokenized(prompts)
            model = trainer.accelerator.unwrap_model(trainer.model)
            check_context(model, max(len(row) for row in ids), trainer.max_completion_length)
            device = output["prompt_ids"].device

            def padded(lists: Any, value: int) -> Tensor:
                tensors = [torch.as_tensor(lists[place[key]]) for key in keys]
                return pad(tensors, padding_value=value, padding_side="left").to(device)

            output[f"{view}_prompt_ids"] = padded(ids, trainer._tokenizer.pad_token_id)
            output[f"{view}_prompt_mask"] = padded([[1] * len(row) for row in ids], 0)
            for name in PER_TOKEN:
                if name in fields and "pixel_values" in output:
                    output[f"{view}_{name}"] = padded(fields[name], 0)
            output[f"{view}_present"] = torch.tensor([text is not None for text in texts], device=device)

    def inputs(self, view: str, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the teacher's forward pass: ids and mask, both (B, P' + T), and the images'."""
        width = batch["completion_ids"].size(1)
        return {
            "input_ids": torch.cat([batch[f"{view}_prompt_ids"], batch["completion_ids"]], dim=1),
            "attention_mask": torch.cat([batch[f"{view}_prompt_mask"], batch["completion_mask"]], dim=1),
            **{name: batch[name] for name in PER_IMAGE if name in batch},
            **{name: extended(batch[f"{view}_{name}"], width) for name in PER_TOKEN if f"{view}_{name}" in batch},
        }

    @torch.no_grad()
    def logps(self, view: str, batch: dict[str, Any]) -> Tensor:
        """Return the teacher's log-probs of the sampled tokens, (B, T), at the sampling temperature."""
        trainer = self.trainer
        teacher = trainer.teacher_of(view)
        module = teacher.model(trainer.model)
        with trainer.timer.part("teacher"), teacher.in_place(trainer.accelerator.unwrap_model(trainer.model)):
            # With the policy's own weights the pass stays the student's, so that equal prompts give exactly Δ = 0.
            own = reads_small(trainer, module, batch["completion_ids"].size(1))
            if not own and module is not trainer.model and can_share(module, batch, view):
                with trainer.accelerator.autocast():
                    return sampled_logps(module, batch, view, trainer.temperature)
            logps, _, _ = trainer._get_per_token_logps_and_entropies(
                module,
                **self.inputs(view, batch),
                **{name: batch[name] for name in COUNTS if name in batch},
                logits_to_keep=batch["completion_ids"].size(1),
            )
        return logps

    @torch.no_grad()
    def hidden(self, view: str, batch: dict[str, Any]) -> Tensor:
        """Return the teacher's hidden states that predict the completion, (B, T, H')."""
        trainer = self.trainer
        teacher = trainer.teacher_of(view)
        module, student = teacher.model(trainer.model), trainer.accelerator.unwrap_model(trainer.model)
        bare = trainer.accelerator.unwrap_model(module)
        with trainer.timer.part("teacher"), teacher.in_place(student), last_hidden_states(bare) as captured:
            if reads_small(trainer, module, batch["completion_ids"].size(1)):
                prompts = batch[f"{view}_prompt_ids"], batch[f"{view}_prompt_mask"]
                return hidden_states(module, *prompts, batch["completion_ids"])
            # logits_to_keep=1: the head's work is not needed here, only the backbone's.
            if can_share(module, batch, view):
                _, row_of, _ = read_prompts_once(module, batch, view, logits_to_keep=1)
                return torch.cat([captured[0][row_of, -1:], captured[1]], dim=1)
            module(**self.inputs(view, batch), logits_to_keep=1)
        return captured[-1][:, -batch["completion_ids"].size(1) - 1 : -1]
