"""The shape of a model: read from its configuration, or known by name; its weights are never loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlsd_cli.config.recipe import is_base, parse
from rlsd_cli.errors import UserError

_QWEN3 = {"model_type": "qwen3", "vocab_size": 151936, "num_key_value_heads": 8, "head_dim": 128}
_QWEN25 = {"model_type": "qwen2", "vocab_size": 151936}


def _text(base: dict[str, Any], hidden: int, layers: int, intermediate: int, heads: int, **more: Any) -> dict[str, Any]:
    return base | {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        **more,
    }


def _qwen3_vl(text: dict[str, Any], vision: dict[str, Any], tied: bool) -> dict[str, Any]:
    vision = {"out_hidden_size": text["hidden_size"], "num_heads": 16, **vision}
    return {
        "model_type": "qwen3_vl",
        "text_config": text | {"model_type": "qwen3_vl_text"},
        "vision_config": vision,
        "tie_word_embeddings": tied,
    }


# The architecture part of the models' published config.json; tests hold the counts against the published ones.
KNOWN: dict[str, dict[str, Any]] = {
    "Qwen/Qwen3-VL-8B-Instruct": _qwen3_vl(
        _text(_QWEN3, 4096, 36, 12288, 32),
        {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]},
        tied=False,
    ),
    "Qwen/Qwen3-VL-32B-Instruct": _qwen3_vl(
        _text(_QWEN3, 5120, 64, 25600, 64),
        {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]},
        tied=False,
    ),
    "Qwen/Qwen3-VL-4B-Instruct": _qwen3_vl(
        _text(_QWEN3, 2560, 36, 9728, 32),
        {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]},
        tied=True,
    ),
    "Qwen/Qwen3-0.6B": _text(_QWEN3, 1024, 28, 3072, 16, tie_word_embeddings=True),
    "Qwen/Qwen3-1.7B": _text(_QWEN3, 2048, 28, 6144, 16, tie_word_embeddings=True),
    "Qwen/Qwen3-4B": _text(_QWEN3, 2560, 36, 9728, 32, tie_word_embeddings=True),
    "Qwen/Qwen3-8B": _text(_QWEN3, 4096, 36, 12288, 32, tie_word_embeddings=False),
    "Qwen/Qwen2.5-0.5B-Instruct": _text(_QWEN25, 896, 24, 4864, 14, num_key_value_heads=2, tie_word_embeddings=True),
    "Qwen/Qwen2.5-1.5B-Instruct": _text(_QWEN25, 1536, 28, 8960, 12, num_key_value_heads=2, tie_word_embeddings=True),
    "Qwen/Qwen2.5-7B-Instruct": _text(
        _QWEN25, 3584, 28, 18944, 28, num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False
    ),
    "smollm2": _text(
        {"model_type": "llama", "vocab_size": 49152}, 576, 30, 1536, 9, num_key_value_heads=3, tie_word_embeddings=True
    ),
}


@dataclass(frozen=True)
class Tower:
    """What a picture costs.

    Attributes:
        patch_pixels: Pixels of a patch.
        patch_numbers: Numbers that the processor makes of a patch.
        layers: Of the vision tower.
        hidden: Its width.
        intermediate: Width of its feed-forward part.
    """

    patch_pixels: int
    patch_numbers: int
    layers: int
    hidden: int
    intermediate: int


@dataclass(frozen=True)
class Shape:
    """What memory depends on.

    Attributes:
        parameters: Numbers in the model; tied weights count once.
        adapted: Sum of (inputs + outputs) over the linear layers that LoRA's ``all-linear`` adapts, so that an
            adapter of rank r has ``r * adapted`` numbers.
        layers: Of the text model, as all below.
        hidden: Width.
        query: Query heads times their width.
        key_value: Key heads times their width.
        intermediate: Width of the feed-forward part.
        vocabulary: Entries.
        tower: The vision tower; None where there is none, or none of Qwen-VL's kind.
    """

    parameters: int
    adapted: int
    layers: int
    hidden: int
    query: int
    key_value: int
    intermediate: int
    vocabulary: int
    tower: Tower | None = None


def configuration_of(path: str) -> Any:
    """Return the transformers configuration of a known model or a local directory.

    Raises:
        UserError: The model is neither, or its configuration is damaged.
    """
    from transformers import AutoConfig

    directory = Path(path).expanduser()
    if is_base(path):
        from rlsd_cli.testbed.network import configuration

        return configuration(parse(path))
    if path in KNOWN:
        kinds = dict(KNOWN[path])
        return AutoConfig.for_model(kinds.pop("model_type"), **kinds)
    if not (directory / "config.json").is_file():
        raise UserError(
            f"the size of '{path}' is not known: give a directory with its config.json, or one of {', '.join(KNOWN)}."
        )
    try:
        return AutoConfig.from_pretrained(str(directory), trust_remote_code=False)
    except Exception as error:  # the libraries raise a dozen kinds for a damaged file
        raise UserError(f"{directory / 'config.json'} can't be read as a model's configuration: fix it.") from error


def shape_of(path: str) -> Shape:
    """Return the shape of a model by building it without storage (torch's meta device).

    Raises:
        UserError: The model is unknown, or of a kind that is no language model.
    """
    import torch
    from torch import nn
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    config = configuration_of(path)
    kind = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
    try:
        with torch.device("meta"):
            model = kind.from_config(config)
    except (ValueError, RuntimeError, AttributeError, TypeError) as error:
        raise UserError(f"'{path}' is not a language model that can be trained: give another model.") from error
    text = config.get_text_config()
    heads = text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    return Shape(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        adapted=sum(
            layer.in_features + layer.out_features for layer in linear if layer is not model.get_output_embeddings()
        ),
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        query=heads * width,
        key_value=(getattr(text, "num_key_value_heads", None) or heads) * width,
        intermediate=text.intermediate_size,
        vocabulary=text.vocab_size,
        tower=tower_of(getattr(config, "vision_config", None)),
    )


def tower_of(vision: Any) -> Tower | None:
    """Return the shape of a vision tower of Qwen-VL's kind, None for others."""
    names = ("patch_size", "temporal_patch_size", "depth", "hidden_size", "intermediate_size")
    if vision is None or not all(hasattr(vision, name) for name in names):
        return None
    return Tower(
        patch_pixels=vision.patch_size**2,
        patch_numbers=vision.patch_size**2 * vision.temporal_patch_size * getattr(vision, "in_channels", 3),
        layers=vision.depth,
        hidden=vision.hidden_size,
        intermediate=vision.intermediate_size,
    )
