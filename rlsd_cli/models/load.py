"""Models and tokenizers: the embedded base, a directory, a GGUF file, or a hub id."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlsd_cli.config.recipe import is_base
from rlsd_cli.config.run import ModelConfig
from rlsd_cli.errors import UserError
from rlsd_cli.models.gguf import is_gguf, load_gguf_model, load_gguf_tokenizer
from rlsd_cli.models.lora import base_of, is_adapter, merged
from rlsd_cli.models.processors import is_vision, load_processor, text_tokenizer
from rlsd_cli.testbed.cache import locate


def resolve(path: str) -> str:
    """Return the directory of an embedded base, which may be pre-trained first, or ``path`` itself.

    Raises:
        UserError: The base's dials are wrong, or there is no room for it.
    """
    return str(locate(path)) if is_base(path) else path


def load_model(config: ModelConfig) -> Any:
    """Load a model; an adapter is merged into its base.

    Raises:
        UserError: There is no such model here, or its files are damaged.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    if is_adapter(config.path):
        base = load_model(config.model_copy(update={"path": base_of(config.path)}))
        return _load(lambda source: merged(base, source), config.path, "adapter")
    if is_gguf(config.path):
        return load_gguf_model(config.path, config.dtype)

    def load(source: str) -> Any:
        kind = AutoModelForImageTextToText if is_vision(source) else AutoModelForCausalLM
        # transformers loads safetensors only: a pickle from a stranger is never opened.
        # Nor is its code run, or a question asked whether it should be.
        return kind.from_pretrained(
            source,
            dtype=getattr(torch, config.dtype),
            attn_implementation=config.attention,
            use_safetensors=True,
            trust_remote_code=False,
        )

    return _load(load, config.path, "model")


def load_tokenizer(path: str) -> Any:
    """Load a model's tokenizer, padding on the left and with a padding token; a vision model's processor.

    Raises:
        UserError: There is no such tokenizer here, or its files are damaged.
    """
    from transformers import AutoTokenizer

    if is_gguf(path):
        tokenizer = load_gguf_tokenizer(path)
    else:
        tokenizer = _load(
            lambda source: (
                load_processor(source)
                if is_vision(resolve(base_of(source)) if is_adapter(source) else source)
                else AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            ),
            path,
            "tokenizer",
        )
    text = text_tokenizer(tokenizer)
    text.padding_side = "left"
    if text.pad_token is None:
        text.pad_token = text.eos_token
    return tokenizer


def _load(loader: Any, path: str, what: str) -> Any:
    source = resolve(path)
    looks_local = os.sep in path and (path.startswith((".", "/", "~")) or path.count("/") > 1)
    if not Path(source).is_dir() and (looks_local or is_base(path)):
        raise UserError(f"the {what} directory {source} does not exist: give a directory, a hub id or 'micro-base'.")
    if Path(source).is_file() and not is_gguf(source):
        raise UserError(f"the {what} {source} is a file: give a directory, a hub id or 'micro-base'.")
    try:
        return loader(source)
    except Exception as error:  # the libraries raise a dozen kinds for a missing or damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"the {what} '{path}' cannot be loaded: {reason}") from error
