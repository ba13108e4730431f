"""A pass through the vision tower where a process's questions have no pictures and another's have some.

Processes that share the tower's weights or gradients run it together: one that left it out would leave the others
waiting (FSDP2, ZeRO-3), or lack gradients that they have (DDP). It looks at a blank picture then, of no effect.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_leaves

from rlsd_cli.training.head import bare_model

SIDE = 32


def look_always(model: Any, processor: Any) -> None:
    """Make a vision-language model run its tower in every pass that reads a prompt, with pictures or without.

    Args:
        model: A bare model or one with an adapter, before any trainer wraps or copies it. One whose parts are not
            named as Qwen-VL's are (``language_model``, ``get_image_features``) is left as it is.
        processor: The model's.
    """
    backbone = bare_model(model).base_model
    if not (hasattr(backbone, "language_model") and hasattr(backbone, "get_image_features")):
        return
    blank = dict(processor.image_processor(images=[Image.new("RGB", (SIDE, SIDE), "white")], return_tensors="pt"))
    # Not in a closure: copies of the model, its teachers, have these as their own.
    backbone._blank_picture = blank
    backbone._nothing_seen = False
    backbone.register_forward_pre_hook(note_pictures, with_kwargs=True)
    backbone.language_model.register_forward_pre_hook(LookAtBlank(backbone), with_kwargs=True)


def note_pictures(backbone: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Note whether the pass reads a prompt and has no pictures; later passes of a rollout have none anyway."""
    cache = kwargs.get("past_key_values")
    starts = cache is None or cache.get_seq_length() == 0
    backbone._nothing_seen = starts and kwargs.get("pixel_values") is None


class LookAtBlank:
    """Runs the tower where the pictures' features would be put in: after the embeddings, before the first layer."""

    def __init__(self, backbone: Any) -> None:
        self.backbone = backbone

    def __call__(self, module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        """Add nothing, made of the blank picture's features, to the embeddings."""
        backbone = self.backbone
        if not backbone._nothing_seen or kwargs.get("inputs_embeds") is None:
            return None
        embeddings = kwargs["inputs_embeds"]
        inputs = {name: tensor.to(embeddings.device) for name, tensor in backbone._blank_picture.items()}
        features = [part for part in tree_leaves(backbone.get_image_features(**inputs)) if isinstance(part, Tensor)]
        nothing = torch.stack([part.float().sum() for part in features if part.is_floating_point()]).sum() * 0
        return args, {**kwargs, "inputs_embeds": embeddings + nothing.to(embeddings.dtype)}
