"""A second model beside the trained one, whole or in shards: placing it, and its weights as whole tensors."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, cast

from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.fsdp import FSDPModule
from trl.models.utils import prepare_deepspeed, prepare_fsdp

from rlsd_cli.training.distributed import sharding


def place(model: Any, accelerator: Any) -> Any:
    """Return an untrained model placed as the accelerator places the trained one: in shards where that is sharded."""
    if accelerator.state.deepspeed_plugin is not None:
        return prepare_deepspeed(model, accelerator)
    if sharding(accelerator) == "fsdp":
        return prepare_fsdp(model.to(accelerator.device), accelerator)
    return model.to(accelerator.device)


def unshard_root(model: Any) -> None:
    """Gather what FSDP2 keeps at the root, the output layer too, before it is used outside the model's own forward.

    The next pass through the model, forward or backward, shards it again. Does nothing to other models.
    """
    if isinstance(model, FSDPModule):
        model.unshard()


def whole_state(model: Any) -> dict[str, Tensor]:
    """Return the weights as whole tensors that share no storage; every process calls this.

    Of a model in shards, processes other than the first may get fewer or none.
    """
    if isinstance(model, FSDPModule):
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state: dict[str, Any] = get_model_state_dict(cast(nn.Module, model), options=options)
        return {name: tensor.clone() for name, tensor in state.items()}
    with gathered(model):
        # Clones, because tied weights share storage, which safetensors refuses.
        return {name: tensor.detach().clone() for name, tensor in bare(model).state_dict().items()}


def load_whole(model: Any, state: dict[str, Tensor]) -> None:
    """Put whole tensors into a model, in shards or not; every process calls this with the same tensors."""
    if isinstance(model, FSDPModule):
        # It changes the dictionary that it is given.
        set_model_state_dict(cast(nn.Module, model), dict(state), options=StateDictOptions(full_state_dict=True))
        return
    with gathered(model, writes=True):
        bare(model).load_state_dict(state)


def bare(model: Any) -> Any:
    """Return the model inside DeepSpeed's engine, or the model itself."""
    return getattr(model, "module", model)


def gathered(model: Any, writes: bool = False) -> Any:
    """Return a context in which ZeRO-3's parameters are whole; it does nothing for other models."""
    parameters = list(model.parameters())
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters, modifier_rank=0 if writes else None)
