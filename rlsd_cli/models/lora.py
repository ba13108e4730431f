"""LoRA adapters (arXiv 2106.09685) through peft: trained, saved and loaded in the place of all weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlsd_cli.config.run import RunConfig
from rlsd_cli.errors import UserError

ADAPTER_FILE = "adapter_config.json"


def add_lora(model: Any, config: RunConfig) -> Any:
    """Return the model with an adapter as its only trained weights.

    The output layer gets none: the arms' fused log-probabilities read it as it is. There is no dropout,
    because two passes over the same tokens must agree.

    Raises:
        UserError: No module has one of the names in ``train.lora_targets``, or the output layer is named.
    """
    from peft import LoraConfig, get_peft_model

    train = config.train
    if is_adapter(config.model.path):
        raise UserError(f"{config.model.path} is an adapter itself: train its base, {base_of(config.model.path)}.")
    rank = train.lora_rank or 0
    targets = train.lora_targets
    if "lm_head" in targets:
        raise UserError("train.lora_targets can't name the output layer lm_head: leave it out.")
    settings = LoraConfig(
        r=rank,
        lora_alpha=train.lora_alpha or 2 * rank,
        target_modules=targets,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, settings)
    except ValueError:
        raise UserError(
            f"no module of '{config.model.path}' is named {targets}: set train.lora_targets=all-linear, or names "
            "such as '[q_proj, v_proj]'."
        ) from None
    # Where the base is found again: a name that holds on other machines, not the directory it was read from.
    adapted.peft_config["default"].base_model_name_or_path = config.model.path
    return adapted


def trainable(model: Any, config: RunConfig) -> Any:
    """Return a loaded model ready for training: with an adapter, or with all its weights in float32.

    bfloat16 has 8 bits of precision: a weight of 0.05 would need a step of 1e-4 to change at all. So with
    ``model.dtype: bfloat16`` the passes run in bfloat16 (autocast) and the weights are kept in float32.
    """
    return model.float() if config.train.lora_rank is None else add_lora(model, config)


def is_adapter(path: str) -> bool:
    """Tell whether a directory holds an adapter and not a whole model."""
    return (Path(path) / ADAPTER_FILE).is_file()


def base_of(path: str) -> str:
    """Return the path of the model that an adapter belongs to.

    Raises:
        UserError: The adapter's configuration is damaged, or names the adapter itself as its base.
    """
    file = Path(path) / ADAPTER_FILE
    try:
        base = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        base = None
    if not isinstance(base, str) or is_adapter(base):
        raise UserError(f"{file} does not name the model that it belongs to: restore it, or train the run again.")
    return base


def merged(model: Any, path: str) -> Any:
    """Return the model with the adapter at ``path`` merged into its weights."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, path).merge_and_unload()
