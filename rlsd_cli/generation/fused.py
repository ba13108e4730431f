"""Decoding with small dense Qwen3 models on a CPU, where the steps' overhead, not arithmetic, takes the time.

Against transformers' forward pass: the batch is the last dimension, so that every operation runs
over contiguous rows; keys and values are written into place; projections of the same input are one
product; the norms' weights are folded into the projections that follow them. Equal to the model's
own logits up to float32 rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsd_cli.generation.cached import prefill

# Above this, matrix products take most of the time and folded copies of the weights much memory.
LARGEST = 5_000_000


def can_fuse(model: Any) -> bool:
    """Return whether the model is one that ``FusedDecoder`` computes: small, float32, dense, full attention."""
    if type(model).__name__ != "Qwen3ForCausalLM" or torch.is_autocast_enabled("cpu"):
        return False
    config, weights = model.config, list(model.parameters())
    plain = all(type(module) is nn.Linear for name, module in model.named_modules() if name.endswith(("_proj", "head")))
    return (
        plain
        and sum(weight.numel() for weight in weights) <= LARGEST
        and all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
        and set(config.layer_types) == {"full_attention"}
        and config.hidden_act == "silu"
        and not config.attention_bias
        and config.rope_parameters["rope_type"] == "default"
    )


class Layer(NamedTuple):
    """One layer's weights, H query and K key heads of width d, hidden size D, and its cache."""

    qkv: Tensor  # ((H + 2K)·d, D)
    head_norm: Tensor  # (H + K, d, 1); the queries' holds attention's scale d^-½
    out: Tensor  # (D, H·d)
    gate_up: Tensor  # (2·intermediate, D)
    down: Tensor  # (D, intermediate)
    keys: Tensor  # (L, K, 1, d, B)
    values: Tensor  # (L, K, 1, d, B)


class FusedDecoder:
    """Steps through completions of B rows; row i continues prompt ``row_of[i]`` of U."""

    def __init__(self, model: Any, ids: Tensor, mask: Tensor, row_of: Tensor, max_new_tokens: int) -> None:
        config = model.config
        self._heads, self._key_heads, self._width = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        self._epsilon = config.rms_norm_eps
        self._length = ids.size(1)
        logits, cache = prefill(model, ids, mask)
        self.logits = logits[row_of]
        capacity = self._length + max_new_tokens
        layers = zip(model.model.layers, cache.layers, strict=True)
        self._layers = [self._fold(layer, cached, row_of, capacity) for layer, cached in layers]
        self._embedding = model.model.embed_tokens.weight
        self._head = model.lm_head.weight * model.model.norm.weight
        cosine, sine = model.model.rotary_emb(self._embedding, torch.arange(capacity).unsqueeze(0))
        self._cosine, self._sine = cosine[0], sine[0].clone()
        self._sine[:, : self._width // 2].neg_()  # rotate_half's sign
        self._position = mask.sum(dim=1)[row_of]
        hidden = (1 - mask).T[:, row_of].bool()
        # (L, 1, 1, B), -inf on the prompts' padding.
        self._bias = torch.zeros(capacity, len(row_of))
        self._bias[: self._length].masked_fill_(hidden, -torch.inf)
        self._bias = self._bias.view(capacity, 1, 1, -1)

    def _fold(self, layer: Any, cached: Any, row_of: Tensor, capacity: int) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        query, key = attention.q_norm.weight * self._width**-0.5, attention.k_norm.weight
        projections = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]

        def spread(prompt: Tensor) -> Tensor:
            """Give each row its prompt's keys or values (U, K, P, d), with room for the completion."""
            room = prompt.new_empty(capacity, self._key_heads, 1, self._width, len(row_of))
            room[: self._length] = prompt.permute(2, 1, 3, 0)[..., row_of].unsqueeze(2)
            return room

        return Layer(
            qkv=torch.cat(projections) * layer.input_layernorm.weight,
            head_norm=torch.stack([query] * self._heads + [key] * self._key_heads).unsqueeze(2),
            out=attention.o_proj.weight,
            gate_up=torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight,
            down=mlp.down_proj.weight,
            keys=spread(cached.keys),
            values=spread(cached.values),
        )

    def _normed(self, x: Tensor) -> Tensor:
        """Return x (..., n, B) over its root mean square along n."""
        return x * x.square().mean(dim=-2, keepdim=True).add_(self._epsilon).rsqrt_()

    def step(self, tokens: Tensor) -> Tensor:
        """Append tokens (B,) and return the next token's logits, (B, V)."""
        x = self._embedding[tokens].T.contiguous()  # (D, B)
        cosine, sine = (table[self._position].T.contiguous() for table in (self._cosine, self._sine))  # (d, B)
        for layer in self._layers:
            x = torch.addmm(x, layer.out, self._attend(layer, layer.qkv @ self._normed(x), cosine, sine))
            gate, up = (layer.gate_up @ self._normed(x)).chunk(2)
            x = torch.addmm(x, layer.down, F.silu(gate).mul_(up))
        self._length += 1
        self._position = self._position + 1
        return (self._head @ self._normed(x)).T.contiguous()

    def _attend(self, layer: Layer, qkv: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Write the new keys and values and return the heads' outputs, (H·d, B), from projections (n·d, B)."""
        heads = qkv.view(-1, self._width, qkv.size(-1))
        values = heads[self._heads + self._key_heads :]
        turned = self._normed(heads[: self._heads + self._key_heads]).mul_(layer.head_norm)
        turned = (turned * cosine).add_(turned.roll(self._width // 2, 1).mul_(sine))
        layer.keys[self._length, :, 0] = turned[self._heads :]
        layer.values[self._length, :, 0] = values
        end = self._length + 1
        queries = turned[: self._heads].view(self._key_heads, -1, *turned.shape[1:])  # (K, H/K, d, B)
        scores = (layer.keys[:end] * queries).sum(dim=3).add_(self._bias[:end])  # (end, K, H/K, B)
        weights = torch.softmax(scores, dim=0).unsqueeze(3)
        return (layer.values[:end] * weights).sum(dim=0).view(-1, qkv.size(-1))

    def keep(self, places: Tensor) -> None:
        """Go on with the rows at ``places`` only."""
        self._layers = [
            layer._replace(keys=layer.keys[..., places], values=layer.values[..., places]) for layer in self._layers
        ]
        self._position, self._bias = self._position[places], self._bias[..., places]
