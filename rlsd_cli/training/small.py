"""Forward and backward passes of small dense Qwen3 models on a CPU, where operations' overhead takes the time.

Against transformers' forward pass: a prompt is read once for all completions of its group, with its gradient; the last
token, which predicts nothing, is left out; the norms' weights are folded into the projections and rotations that follow
them; projections of the same input are one product; and what autograd would take apart into many small operations
(norms, attention, the gated product) has its derivative written out. Equal to the model's own hidden states and
gradients up to float32 rounding.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from rlsd_cli.generation.fused import can_fuse


@dataclass(frozen=True)
class Part:
    """R sequences of S tokens: the prompts, or their continuations.

    Attributes:
        tokens: Where they lie among all N tokens.
        shape: (R, S).
        places: Their positions.
        bias: (U or 1, 1, S, L), -inf where a token must not look.
    """

    tokens: slice
    shape: tuple[int, int]
    places: slice
    bias: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """Return the part (R, S, ...) of (N, ...)."""
        return rows[self.tokens].unflatten(0, self.shape)


class Reading:
    """What is read: U prompts of P tokens, each with G continuations of T tokens behind it.

    Args:
        ids: Prompts (B, P), left-padded; equal ones side by side, in equal numbers G, are read once.
        mask: (B, P), 1 on tokens.
        completion: (B, T + 1), padded on the right; the last token predicts nothing.
    """

    def __init__(self, ids: Tensor, mask: Tensor, completion: Tensor) -> None:
        new = ((ids[1:] != ids[:-1]) | (mask[1:] != mask[:-1])).any(dim=1).nonzero().flatten().tolist()
        starts = [0, *(place + 1 for place in new), len(ids)]
        self.group = math.gcd(*(end - start for start, end in itertools.pairwise(starts)))
        self.prompts, shown = ids[:: self.group], mask[:: self.group].bool()
        count, self.width = self.prompts.shape
        rows, length = len(ids), completion.size(1) - 1
        self.tokens = torch.cat([self.prompts.flatten(), completion[:, :-1].flatten()])
        causal = torch.full((self.width + length, self.width + length), -torch.inf).triu_(1)[None, None]
        among, behind = causal[:, :, : self.width, : self.width], causal[:, :, self.width :]
        if not shown.all():
            hidden = torch.zeros(shown.shape).masked_fill_(~shown, -torch.inf)[:, None, None]
            # A padding token sees itself, or its softmax would have no terms.
            among = (among + hidden).masked_fill(torch.eye(self.width, dtype=torch.bool), 0.0)
            behind = behind + F.pad(hidden, (0, length))
        border = count * self.width
        self.parts = (
            Part(slice(border), (count, self.width), slice(self.width), among),
            Part(slice(border, None), (rows, length), slice(self.width, None), behind),
        )

    def spread(self, prompts: Tensor) -> Tensor:
        """Return what belongs to each continuation's prompt, (U·G, ...), of (U, ...)."""
        return prompts.unsqueeze(1).expand(-1, self.group, *prompts.shape[1:]).flatten(0, 1)


def reads_small(trainer: Any, model: Any, width: int) -> bool:
    """Return whether a trainer's pass over completions of ``width`` tokens by a model can be made here."""
    return (
        can_fuse(model)
        and not getattr(trainer, "plain_passes", False)
        and width > 1
        and trainer.accelerator.mixed_precision == "no"
        and not (model.training and model.is_gradient_checkpointing)
    )


def token_scores(model: Any, hidden: Tensor, completion: Tensor, mask: Tensor, temperature: float) -> list[Tensor]:
    """Return the log-probs of completions (B, T) and the entropy before each token, without gradient; 0 on padding."""
    log_probs = torch.log_softmax(model.lm_head(hidden) / temperature, dim=-1)
    with torch.no_grad():
        entropy = (log_probs.exp() * log_probs).sum(dim=-1).neg_()
    sampled = log_probs.gather(-1, completion.unsqueeze(-1)).squeeze(-1)
    return [values.masked_fill(mask == 0, 0.0) for values in (sampled, entropy)]


def hidden_states(model: Any, ids: Tensor, mask: Tensor, completion: Tensor) -> Tensor:
    """Return the last hidden states that predict completions.

    Args:
        model: One for which ``can_fuse`` holds.
        ids: Prompts (B, P), left-padded; equal ones that stand side by side in equal numbers are read once.
        mask: (B, P), 1 on tokens.
        completion: (B, T), padded on the right; what stands there changes nothing before it.

    Returns:
        (B, T, D), the final norm applied.
    """
    asked = Reading(ids, mask, completion)
    config, inner = model.config, model.model
    x = inner.embed_tokens(asked.tokens)
    with torch.no_grad():
        places = torch.arange(ids.size(1) + completion.size(1) - 1).unsqueeze(0)
        cosine, sine = (table[0] for table in inner.rotary_emb(x, places))
        half = config.head_dim // 2
        sine = torch.cat([-sine[:, :half], sine[:, half:]], dim=1)  # rotate_half's sign
    for layer in inner.layers:
        x = _layer(layer, config, asked, cosine, sine, x)
    prompts, continuations = (part.of(x) for part in asked.parts)
    # The last token of each prompt predicts the first of its completions.
    predicting = torch.cat([asked.spread(prompts[:, -1:]), continuations], dim=1)
    return Normed.apply(predicting, config.rms_norm_eps) * inner.norm.weight


def _layer(layer: Any, config: Any, asked: Reading, cosine: Tensor, sine: Tensor, x: Tensor) -> Tensor:
    """Return x (U·P + B·T, D) after one layer; ``cosine`` and ``sine`` are (P + T, d)."""
    attention, mlp, epsilon = layer.self_attn, layer.mlp, config.rms_norm_eps
    heads, key_heads, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    # The queries' norm holds attention's scale.
    query, key = attention.q_norm.weight * size**-0.5, attention.k_norm.weight
    norms = torch.cat([query.expand(heads, -1), key.expand(key_heads, -1)])
    tables = torch.stack([cosine.unsqueeze(1) * norms, sine.unsqueeze(1) * norms.roll(size // 2, -1)])
    weights = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
    qkv = F.linear(Normed.apply(x, epsilon), weights * layer.input_layernorm.weight)
    found = Attended.apply(qkv.view(-1, heads + 2 * key_heads, size), tables, asked, epsilon)
    x = torch.addmm(x, found, attention.o_proj.weight.T)
    both = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight
    return torch.addmm(x, Gated.apply(F.linear(Normed.apply(x, epsilon), both)), mlp.down_proj.weight.T)


def inverse_root_mean_square(x: Tensor, epsilon: float) -> Tensor:
    """Return (mean of x² along the last dimension + ε)^-½, (..., 1)."""
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.size(-1)).add_(epsilon).rsqrt_()


def before_norm(grad: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """Return the gradient by x of y = x · scale, ``scale`` being its inverse root mean square, from that by y."""
    along = (grad * y).mean(dim=-1, keepdim=True)
    return torch.addcmul(grad, y, along, value=-1).mul_(scale)


class Normed(Function):
    """x (..., n) over its root mean square along n."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, epsilon: float) -> Tensor:
        """Return the quotient."""
        scale = inverse_root_mean_square(x, epsilon)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Return the gradient by x."""
        return before_norm(grad, *ctx.saved_tensors), None


class Gated(Function):
    """silu(gate) · up of (N, 2n), gate and up side by side."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        """Return the product (N, n)."""
        gate, up = both.chunk(2, dim=-1)
        opened = F.silu(gate)
        ctx.save_for_backward(both, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient by both."""
        both, opened = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        result = torch.empty_like(both)
        of_gate, of_up = result.chunk(2, dim=-1)
        torch.mul(grad, opened, out=of_up)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=of_gate)
        return result


class Attended(Function):
    """Attention from projections (N, H + 2K, d) to the heads' outputs (N, H·d), N = U·P + U·G·T.

    Queries and keys are normed, then turned by ``tables`` (2, P + T, H + K, d): y · cosine + roll(y) · sine, which hold
    the norms' weights, too.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, tables: Tensor, asked: Reading, epsilon: float) -> Tensor:
        """Return the heads' outputs."""
        turning, size = tables.shape[2:]
        scale = inverse_root_mean_square(qkv[:, :turning], epsilon)
        y = qkv[:, :turning] * scale
        rolled, turned = y.roll(size // 2, -1), torch.empty_like(y)
        for part in asked.parts:
            target = part.of(turned)
            torch.mul(part.of(y), tables[0, part.places], out=target)
            target.addcmul_(part.of(rolled), tables[1, part.places])
        key_heads = qkv.size(1) - turning
        query_heads = turning - key_heads
        result = torch.empty(len(qkv), query_heads, size)
        saved = [y, rolled, scale, tables]
        prompts: tuple[Tensor, Tensor] | None = None
        for part in asked.parts:
            queries = rows_first(part.of(turned)[:, :, :query_heads], key_heads)
            keys = part.of(turned)[:, :, query_heads:].transpose(1, 2)
            values = part.of(qkv)[:, :, turning:].transpose(1, 2)
            if prompts is None:
                prompts = keys, values
            else:
                keys, values = (
                    torch.cat([asked.spread(prompt), own], dim=2)
                    for prompt, own in zip(prompts, (keys, values), strict=True)
                )
            keys, values = keys.reshape(len(queries), -1, size), values.reshape(len(queries), -1, size)
            scores = torch.bmm(queries, keys.transpose(1, 2))
            scores.view(len(part.bias), -1, *part.bias.shape[2:]).add_(part.bias)
            weights = torch.softmax(scores, dim=-1)
            tokens_first(part.of(result), key_heads).copy_(
                torch.bmm(weights, values).view(tokens_first(part.of(result), key_heads).shape)
            )
            saved += [queries, keys, values, weights]
        ctx.save_for_backward(*saved)
        ctx.asked, ctx.heads = asked, (query_heads, key_heads)
        return result.flatten(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Return the gradients by the projections and the tables."""
        asked, (query_heads, key_heads) = ctx.asked, ctx.heads
        y, rolled, scale, tables, *saved = ctx.saved_tensors
        size, turning = y.size(2), query_heads + key_heads
        grad = grad.view(len(y), query_heads, size)
        of_turned, of_qkv = torch.empty_like(y), y.new_empty(len(y), turning + key_heads, size)
        of_prompts = None
        # Last the prompts, whose keys and values the continuations have used, too.
        for number, part in reversed(list(enumerate(asked.parts))):
            queries, keys, values, weights = saved[4 * number : 4 * number + 4]
            of_found = rows_first(part.of(grad), key_heads)
            of_values = torch.bmm(weights.transpose(1, 2), of_found)
            of_weights = torch.bmm(of_found, values.transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_queries = tokens_first(part.of(of_turned)[:, :, :query_heads], key_heads)
            of_queries.copy_(torch.bmm(of_scores, keys).view(of_queries.shape))
            of_keys = torch.bmm(of_scores.transpose(1, 2), queries)
            both = torch.stack([of_keys, of_values]).view(2, -1, key_heads, *of_keys.shape[1:])
            if of_prompts is None:
                width = asked.prompts.size(1)
                of_prompts = both[:, :, :, :width].unflatten(1, (-1, asked.group)).sum(dim=2)
                both = both[:, :, :, width:]
            else:
                both += of_prompts
            part.of(of_turned)[:, :, query_heads:] = both[0].transpose(1, 2)
            part.of(of_qkv)[:, :, turning:] = both[1].transpose(1, 2)
        of_tables, of_y = torch.empty_like(tables), torch.empty_like(y)
        for part in asked.parts:
            turned = part.of(of_turned)
            of_tables[0, part.places] = (turned * part.of(y)).sum(dim=0)
            of_tables[1, part.places] = (turned * part.of(rolled)).sum(dim=0)
            back = (turned * tables[1, part.places]).roll(size // 2, -1)
            torch.addcmul(back, turned, tables[0, part.places], out=part.of(of_y))
        of_qkv[:, :turning] = before_norm(of_y, y, scale)
        return of_qkv, of_tables, None, None


def tokens_first(heads: Tensor, key_heads: int) -> Tensor:
    """Return heads (R, S, H, d) as a view (R, K, H/K, S, d)."""
    return heads.unflatten(2, (key_heads, -1)).permute(0, 2, 3, 1, 4)


def rows_first(heads: Tensor, key_heads: int) -> Tensor:
    """Return heads (R, S, H, d) as (R·K, H/K·S, d)."""
    return tokens_first(heads, key_heads).reshape(len(heads) * key_heads, -1, heads.size(-1))
