"""A model in two parts: the hidden states of its backbone, and the logits that its own forward makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rlsd_cli.training.sharded import whole

# Logits of a chunk: 2^24 float32 numbers are 64 MB, for the student and for the teacher each.
CHUNK_ELEMENTS = 2**24


def bare_model(model: Any) -> Any:
    """Return the transformers model inside LoRA's, or the model itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


@contextmanager
def last_hidden_states(model: Any) -> Iterator[list[Tensor]]:
    """Collect the backbone's last hidden states (B, L, H) of every forward pass in the block."""
    captured: list[Tensor] = []
    backbone = bare_model(model).base_model
    handle = backbone.register_forward_hook(lambda module, args, output: captured.append(output.last_hidden_state))
    try:
        yield captured
    finally:
        handle.remove()


class Given(nn.Module):
    """Stands in for a backbone: "computes" hidden states that are known already; else it is the backbone."""

    def __init__(self, hidden: Tensor, backbone: Any) -> None:
        super().__init__()
        self.output = BackboneOutput(hidden)
        self.__dict__["backbone"] = backbone  # not a module of ours

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["backbone"], name)

    def forward(self, *args: Any, **kwargs: Any) -> BackboneOutput:
        """Return the hidden states, whatever the input."""
        return self.output


class BackboneOutput:
    """A backbone's output of which only the last hidden state is known."""

    def __init__(self, hidden: Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, index: int) -> Tensor:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        return None


class OutputLayer(nn.Module):
    """Stands in for a model's output layer: the same product, of weights that are at hand as a whole."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        # In a tuple, and so no parameters of this module: they belong to the layer.
        self.whole = (whole(layer.weight), None if layer.bias is None else whole(layer.bias))

    @property
    def weight(self) -> Tensor:
        """The layer's weight, for models that read it."""
        return self.whole[0]

    @property
    def bias(self) -> Tensor | None:
        """The layer's bias."""
        return self.whole[1]

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the logits."""
        weight, bias = self.whole
        return nn.functional.linear(hidden, weight.to(hidden.dtype), None if bias is None else bias.to(hidden.dtype))


def head_of(model: Any) -> Callable[[Tensor], Tensor]:
    """Return the function from hidden states (N, H) to logits (N, V) in float32 that is the rest of the model.

    It is the model's own forward with the backbone's output given, so that scalings, caps and biases of whatever
    family are the model's, not a list of ours. The output layer is no module then but its weight: FSDP2 counts the
    calls of the modules that it shards together, and one call more ends in a crash of the backward pass.

    To be asked for once per forward pass and by every process: weights in shards are gathered here, and not chunk by
    chunk, for processes have different numbers of chunks. A student's are whole already, after its own pass.
    """
    bare = bare_model(model)
    own = bare.get_output_embeddings()
    names = {child: name for name, child in bare.named_children()}
    output_layer = OutputLayer(own) if isinstance(own, nn.Linear) else own
    name, head = names[bare.base_model], names.get(own)

    def logits(hidden: Tensor) -> Tensor:
        backbone = bare._modules[name]
        bare._modules[name] = Given(hidden.unsqueeze(0), backbone)
        if head is not None:
            bare._modules[head] = output_layer
        try:
            # The class's forward: wrappers of accelerate, TRL and FSDP around the instance's are for whole passes.
            output = type(bare).forward(bare, inputs_embeds=hidden.unsqueeze(0), use_cache=False)
        finally:
            bare._modules[name] = backbone
            if head is not None:
                bare._modules[head] = own
        return output.logits.squeeze(0).float()

    return logits


def in_chunks(function: Callable[..., Tensor], rows: int, *columns: Tensor) -> Tensor:
    """Apply ``function`` to chunks of ``rows`` tokens, recomputing each chunk in the backward pass.

    At no time are the logits of more than one chunk in memory, whatever the vocabulary.

    Args:
        function: Maps columns of n rows to (n, ...).
        rows: Tokens per chunk.
        columns: Each (N, ...), with gradient or without.

    Returns:
        (N, ...).
    """
    if columns[0].size(0) <= rows:
        return function(*columns)
    parts = [
        checkpoint(function, *(column[start : start + rows] for column in columns), use_reentrant=False)
        for start in range(0, columns[0].size(0), rows)
    ]
    return torch.cat(parts)


def chunk_rows(model: Any) -> int:
    """Return how many tokens' logits make a chunk."""
    return max(1, CHUNK_ELEMENTS // model.config.get_text_config().vocab_size)
