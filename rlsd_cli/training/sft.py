"""SFT's trainer: TRL's own on the run's reference solutions, in the run's order."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from rlsd_cli.config.shares import share_of_prompts
from rlsd_cli.models.limits import check_context
from rlsd_cli.models.processors import takes_images
from rlsd_cli.training.arguments import shared_arguments
from rlsd_cli.training.context import RunContext
from rlsd_cli.training.distributed import world_size


def solution_of(row: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """Return (prompt, completion) of a row, as texts or as chat turns with the variables of their template."""
    if isinstance(row["prompt"], str):
        # The space keeps the first word of the solution apart from the last of the prompt.
        return {"prompt": row["prompt"], "completion": f" {row['solution']}"}
    more = {"chat_template_kwargs": variables} if variables else {}
    return {"prompt": row["prompt"], "completion": [{"role": "assistant", "content": row["solution"]}], **more}


def solutions(dataset: Dataset, with_images: bool, variables: dict[str, Any]) -> Dataset:
    """Return (prompt, completion) rows: of text a finished table, of images rows that are made when asked for.

    TRL tokenizes the former before training, and the latter batch by batch.
    """
    if not with_images:
        return Dataset.from_list([solution_of(row, variables) for row in dataset])
    made = dataset.format["format_kwargs"]["transform"]

    def rows(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        columns = made(batch)
        rowed = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        each = [solution_of(row, variables) for row in rowed]
        return {**{name: [row[name] for row in each] for name in each[0]}, "images": columns["images"]}

    return dataset.with_transform(rows)


class ReferenceTrainer(SFTTrainer):
    """TRL's SFTTrainer on the run's prompts and their reference solutions, in the run's order."""

    def __init__(self, context: RunContext) -> None:
        with_images = takes_images(context.tokenizer)
        micro_batch, accumulation = share_of_prompts(context.config.train, world_size())
        super().__init__(
            model=context.model,
            args=SFTConfig(
                **shared_arguments(context),
                per_device_train_batch_size=micro_batch,
                gradient_accumulation_steps=accumulation,
                train_sampling_strategy="sequential",
                completion_only_loss=True,
                max_length=None,
                remove_unused_columns=not with_images,  # rows with images are made from the one column "index"
            ),
            train_dataset=solutions(context.dataset, with_images, context.config.model.chat_template_kwargs),
            processing_class=context.tokenizer,
        )
        if not with_images:
            check_context(context.model, max(len(ids) for ids in self.train_dataset["input_ids"]), 0)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no model card per checkpoint: a card belongs to a published model."""
