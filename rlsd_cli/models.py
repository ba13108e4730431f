"""Models and tokenizers: the embedded base, a directory, or a hub id."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlsd_cli.config import ModelConfig
from rlsd_cli.errors import UserError

EMBEDDED = ("micro-base", "micro-teacher")


def resolve(path: str) -> str:
    """Return the directory of an embedded model, or ``path`` itself."""
    if path in EMBEDDED:
        return str(Path(__file__).parent / "assets" / path)
    return path


def load_model(config: ModelConfig) -> Any:
    """Load the model to be trained.

    Raises:
        UserError: There is no such model here, or its files are damaged.
    """
    import torch
    from transformers import AutoModelForCausalLM

    # transformers loads safetensors only: a pickle from a stranger is never opened.
    return _load(
        lambda source: AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, config.dtype), use_safetensors=True
        ),
        config.path,
        "model",
    )


def load_tokenizer(path: str) -> Any:
    """Load a model's tokenizer, padding on the left and with a padding token.

    Raises:
        UserError: There is no such tokenizer here, or its files are damaged.
    """
    from transformers import AutoTokenizer

    tokenizer = _load(AutoTokenizer.from_pretrained, path, "tokenizer")
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load(loader: Any, path: str, what: str) -> Any:
    source = resolve(path)
    looks_local = os.sep in path and (path.startswith((".", "/", "~")) or path.count("/") > 1)
    if not Path(source).is_dir() and (looks_local or path in EMBEDDED):
        raise UserError(f"the {what} directory {source} does not exist: give a directory, a hub id or 'micro-base'.")
    try:
        return loader(source)
    except Exception as error:  # the libraries raise a dozen kinds for a missing or damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"the {what} '{path}' cannot be loaded: {reason}") from error
