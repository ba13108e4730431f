"""What a vision-language model needs of a batch beside its token ids: pixels, grids, token types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlsd_cli.errors import UserError
from rlsd_cli.tasks.messages import images_of

# Of the batches that TRL makes: per image (the teacher's prompts share them), and per token (they don't).
PER_IMAGE = (
    "pixel_values",
    "image_grid_thw",
    "pixel_attention_mask",
    "spatial_shapes",
    "image_sizes",
    "image_position_ids",
)
COUNTS = ("num_images", "num_tiles")  # lists of B numbers, by which TRL cuts what is per image
PER_TOKEN = ("mm_token_type_ids", "token_type_ids")


@dataclass(frozen=True)
class Vision:
    """The images of a batch of B prompts.

    ``images`` holds what a processor gives per image, all images of the batch one after another (for
    Qwen3-VL: ``pixel_values`` (patches, features) and ``image_grid_thw`` (images, 3)); ``token_types``
    what it gives per token, each (B, P), padded like the prompts; ``counts`` the images of each prompt.
    """

    images: dict[str, Tensor]
    token_types: dict[str, Tensor]
    counts: list[int]

    def to(self, device: Any) -> Vision:
        """Return the same on a device."""
        return Vision(
            {name: tensor.to(device) for name, tensor in self.images.items()},
            {name: tensor.to(device) for name, tensor in self.token_types.items()},
            self.counts,
        )

    def rows(self, part: slice) -> Vision:
        """Return the images of some of the prompts."""
        from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid

        counts = self.counts[part]
        split = split_pixel_values_by_grid({**self.images, "num_images": self.counts})
        images = unsplit_pixel_values_by_grid({name: split[name][part] for name in self.images}) if sum(counts) else {}
        return Vision(images, {name: tensor[part] for name, tensor in self.token_types.items()}, counts)

    def inputs(self, width: int = 0) -> dict[str, Tensor]:
        """Return the arguments of a model's forward pass over the prompts and ``width`` tokens after each."""
        return {**self.images, **{name: extended(tensor, width) for name, tensor in self.token_types.items()}}


def extended(token_types: Tensor, width: int) -> Tensor:
    """Return token types (B, P) with ``width`` more tokens that are text, (B, P + width)."""
    return torch.cat([token_types, token_types.new_zeros(token_types.size(0), width)], dim=1)


def encode_chats(
    processor: Any, prompts: list[Any], variables: Mapping[str, Any] | None = None
) -> tuple[Tensor, Tensor, Vision | None]:
    """Return left-padded (ids, mask), both (B, P), and the images of prompts; None where there are no images.

    Args:
        processor: Of a vision-language model.
        prompts: Chats with PIL images in them, or texts.
        variables: Of the chat template.
    """
    texts = [
        prompt
        if isinstance(prompt, str)
        else processor.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False, **(variables or {}))
        for prompt in prompts
    ]
    images = [list(images_of(prompt)) for prompt in prompts]
    counts = [len(group) for group in images]
    batch = processor(
        text=texts,
        images=[group for group in images if group] or None,
        padding=True,
        padding_side="left",
        return_tensors="pt",
    )
    if not sum(counts):
        return batch["input_ids"], batch["attention_mask"], None
    vision = Vision(
        {name: batch[name] for name in PER_IMAGE if name in batch},
        {name: batch[name] for name in PER_TOKEN if name in batch},
        counts,
    )
    return batch["input_ids"], batch["attention_mask"], vision


def without_empty_images(batch: dict[str, Any]) -> dict[str, Any]:
    """Return a batch of TRL's as it is; of one whose rows have no images at all, without empty pixel tensors.

    Such a batch is cut out of a larger one with images, and a vision tower can't run on nothing.
    """
    if "num_images" not in batch or sum(batch["num_images"]):
        return batch
    return {name: value for name, value in batch.items() if name not in (*PER_IMAGE, *COUNTS)}


def require_vision(takes_images: bool, images: tuple[Any, ...], model: str) -> None:
    """Check that a question's images can be read by the model.

    Raises:
        UserError: There are images and the model reads text only.
    """
    if images and not takes_images:
        raise UserError(f"the questions have images and the model '{model}' reads text only: choose another model.")
