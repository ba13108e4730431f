"""Run by each of two processes: a model in FSDP2's shards against the same model whole."""

import copy
import sys

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

from rlsd_cli.config.run import ModelConfig
from rlsd_cli.models.load import load_model
from rlsd_cli.training.head import head_of, last_hidden_states
from rlsd_cli.training.sharded import load_whole, whole_state


def loss_of(model, ids):
    """A loss of logits that are made outside the model's own forward pass, as the distilling arms make them."""
    with last_hidden_states(model) as captured:
        model(input_ids=ids, logits_to_keep=1)
    logits = head_of(model)(captured[-1].flatten(0, 1))
    return torch.log_softmax(logits / 0.7, dim=-1)[:, 3].mean()


def main(path):
    dist.init_process_group("gloo")
    whole = load_model(ModelConfig(path=path))
    sharded = copy.deepcopy(whole)
    for layer in sharded.model.layers:
        fully_shard(layer, reshard_after_forward=True)
    fully_shard(sharded, reshard_after_forward=True)
    state = whole_state(sharded)
    if dist.get_rank() == 0:
        assert state.keys() == whole.state_dict().keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in whole.state_dict().items())

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 20, (2, 4, 9), generator=generator)
    expected = sum(loss_of(whole, each) for each in ids) / 2
    expected.backward()
    loss = loss_of(sharded, ids[dist.get_rank()])
    loss.backward()
    dist.all_reduce(loss.detach())
    for (name, one), other in zip(whole.named_parameters(), sharded.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad.full_tensor(), atol=1e-6), name

    changed = {name: tensor + 1 for name, tensor in whole.state_dict().items()}
    load_whole(sharded, changed)
    again = whole_state(sharded)
    if dist.get_rank() == 0:
        assert all(torch.equal(again[name], tensor) for name, tensor in changed.items())
        print("shards agree")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
