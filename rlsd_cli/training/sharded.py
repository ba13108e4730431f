"""A second model beside the trained one, whole or in shards: placing it, and its weights as whole tensors."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, cast

from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from trl.models.utils import prepare_deepspeed

from rlsd_cli.training.distributed import sharding


def place(model: Any, accelerator: Any) -> Any:
    """Return an untrained model placed as the accelerator places the trained one: in shards where that is sharded.

    FSDP2's shards are cut layer by layer: of a model that no GPU could hold, one layer at a time leaves the CPU.
    """
    if accelerator.state.deepspeed_plugin is not None:
        return prepare_deepspeed(model, accelerator)
    if sharding(accelerator) == "fsdp":
        from accelerate.utils.fsdp_utils import fsdp2_prepare_model

        plugin = accelerator.state.fsdp_plugin
        # It keeps the names of the first model's layers, and the trained model's may be others.
        kept = plugin.auto_wrap_policy, plugin.transformer_cls_names_to_wrap
        sharded = fsdp2_prepare_model(accelerator, model)
        plugin.auto_wrap_policy, plugin.transformer_cls_names_to_wrap = kept
        return sharded
    return model.to(accelerator.device)


def reshard(model: Any) -> None:
    """Put all weights of a model in FSDP2's shards back into them; does nothing to other models.

    Needed before anybody reads or copies its weights outside a pass: accelerate leaves the final norm and the output
    layer whole after a pass, and a pass without a backward one, a probe, leaves them so.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def in_shards(model: Any) -> bool:
    """Tell whether a pass through the model needs all processes: FSDP2 or ZeRO-3."""
    return isinstance(model, FSDPModule) or any(hasattr(parameter, "ds_id") for parameter in model.parameters())


def whole(parameter: Tensor) -> Tensor:
    """Return a parameter as a whole; of one in shards every process calls this."""
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter


def whole_state(model: Any) -> dict[str, Tensor]:
    """Return the weights as whole tensors that share no storage; every process calls this.

    Of a model in shards, processes other than the first may get fewer or none.
    """
    reshard(model)
    if isinstance(model, FSDPModule):
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state: dict[str, Any] = get_model_state_dict(cast(nn.Module, model), options=options)
        return {name: tensor.clone() for name, tensor in state.items()}
    with gathered(model.parameters()):
        # Clones, because tied weights share storage, which safetensors refuses.
        return {name: tensor.detach().clone() for name, tensor in bare(model).state_dict().items()}


def load_whole(model: Any, state: dict[str, Tensor]) -> None:
    """Put whole tensors into a model, in shards or not; every process calls this with the same tensors."""
    reshard(model)
    if isinstance(model, FSDPModule):
        # It changes the dictionary that it is given.
        set_model_state_dict(cast(nn.Module, model), dict(state), options=StateDictOptions(full_state_dict=True))
        return
    with gathered(model.parameters(), writes=True):
        bare(model).load_state_dict(state)


def bare(model: Any) -> Any:
    """Return the model inside DeepSpeed's engine, or the model itself."""
    return getattr(model, "module", model)


def gathered(parameters: Iterable[Tensor], writes: bool = False) -> Any:
    """Return a context in which ZeRO-3's parameters are whole; it does nothing for others."""
    parameters = list(parameters)
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters, modifier_rank=0 if writes else None)
