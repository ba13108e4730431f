"""Bytes on each GPU at the highest point of a step, part by part.

Assumed, and documented in docs/gpu.md: AdamW with both moments in the weights' precision; passes in
bfloat16 where ``model.dtype`` says so; attention that keeps no (L, L) matrix; every sequence at its
full length, every question with one picture of the largest allowed size. Numbers of a tensor times bytes of a
number, nothing fitted, and never yet held against a GPU's own count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsd_cli.memory.shapes import Shape

Sharding = Literal["ddp", "fsdp2", "zero3"]
SHARDINGS: tuple[Sharding, ...] = ("ddp", "fsdp2", "zero3")
GIB = 2**30
FLOAT32, BFLOAT16 = 4, 2
# CUDA's context, NCCL's buffers and the allocator's gaps: an allowance, not a computed number.
RESERVE = 3 * GIB
# Chunks of logits (2^24 numbers in float32): student's and teacher's, log-softmax of both, and the gradients.
LOGIT_CHUNKS = 6 * 2**24 * FLOAT32


@dataclass(frozen=True)
class Job:
    """What is asked of the GPUs.

    Attributes:
        shape: The model's.
        gpus: Processes, one GPU each.
        sharding: How the weights are spread.
        bfloat16: Whether passes run in bfloat16.
        lora_rank: Rank of the adapter; None trains all weights.
        copies: Copies of the policy that are held beside it as teachers.
        external: The shape of another model that is held as a teacher; None for none.
        completions: A step's completions, over all GPUs.
        micro_batch: Completions per forward pass of a GPU.
        tokens: Of a prompt and its completion together.
        context: Tokens of one sequence for which a colocated vLLM keeps room.
        patches: Patches of a question's picture; 0 for text.
        checkpointing: Whether activations are computed again in the backward pass.
        vllm_share: Share of each GPU that a colocated vLLM takes; 0 for none.
        vllm_sleeps: Whether it gives its memory back for the update.
        rollouts_elsewhere: Whether no GPU of these holds the rollouts' cache (a vLLM server, or no rollouts).
        gpu_bytes: Memory of a GPU.
        tensor_parallel: GPUs over which a colocated vLLM spreads its copy of the weights.
    """

    shape: Shape
    gpus: int
    sharding: Sharding
    bfloat16: bool
    lora_rank: int | None
    copies: int
    external: Shape | None
    completions: int
    micro_batch: int
    tokens: int
    checkpointing: bool
    vllm_share: float
    rollouts_elsewhere: bool
    gpu_bytes: int
    tensor_parallel: int = 1
    context: int = 0
    patches: int = 0
    vllm_sleeps: bool = False


def trained_numbers(job: Job) -> int:
    """Return how many numbers the optimiser changes."""
    return job.shape.parameters if job.lora_rank is None else job.lora_rank * job.shape.adapted


def weights(job: Job) -> int:
    """Return the bytes of the policy's weights on a GPU.

    All weights: float32; with ZeRO-3 in bfloat16 a bfloat16 copy lies beside the optimiser's float32 one.
    LoRA: the base in the model's own precision, the adapter in float32.
    """
    base = job.shape.parameters
    stored = base * (BFLOAT16 if job.bfloat16 else FLOAT32)
    if job.lora_rank is not None:
        total = stored + trained_numbers(job) * FLOAT32
    elif job.sharding == "zero3" and job.bfloat16:
        total = base * (BFLOAT16 + FLOAT32)
    else:
        total = base * FLOAT32
    return total // shards(job)


def shards(job: Job) -> int:
    """Return over how many GPUs a tensor is spread."""
    return 1 if job.sharding == "ddp" else job.gpus


def gradients(job: Job) -> int:
    """Return the bytes of the gradients; DDP holds its buckets beside them."""
    copies = 2 if job.sharding == "ddp" and job.gpus > 1 else 1
    return copies * trained_numbers(job) * FLOAT32 // shards(job)


def optimiser(job: Job) -> int:
    """Return the bytes of AdamW's two moments, in float32."""
    return 2 * trained_numbers(job) * FLOAT32 // shards(job)


def passes(job: Job) -> int:
    """Return the bytes of a number in a pass."""
    return BFLOAT16 if job.bfloat16 else FLOAT32


def units(shape: Shape, each: int) -> int:
    """Return the bytes of what FSDP2 and ZeRO-3 gather at once: two layers, and the embeddings and output layer."""
    embeddings = 2 * shape.vocabulary * shape.hidden
    layer = max(shape.parameters - embeddings, 0) // shape.layers
    return (2 * layer + embeddings) * each


def held_bytes(job: Job) -> int:
    """Return the bytes of the whole teachers: copies are stored as the policy is, another model as it runs."""
    stored = passes(job) if job.lora_rank is not None or job.sharding == "zero3" else FLOAT32
    external = job.external.parameters * passes(job) if job.external else 0
    return job.copies * job.shape.parameters * stored + external


def teacher(job: Job) -> int:
    """Return the bytes of the teachers' own weights on a GPU, and of the layers that are gathered for a pass."""
    held = [job.shape] * min(job.copies, 1) + ([job.external] if job.external else [])
    gathered = max((units(shape, passes(job)) for shape in held), default=0) if shards(job) > 1 else 0
    return held_bytes(job) // shards(job) + gathered


def working_copy(job: Job) -> int:
    """Return the bytes of weights in the passes' precision that lie beside the stored ones.

    DDP under autocast: a bfloat16 copy of all float32 weights. In shards: two layers and the embeddings, gathered.
    """
    if shards(job) == 1:
        return job.shape.parameters * BFLOAT16 if job.bfloat16 and job.lora_rank is None else 0
    return units(job.shape, passes(job))


def layer_numbers(shape: Shape) -> int:
    """Return how many numbers a layer keeps per token for its backward pass.

    Norms: input and output, twice (4h). Attention: q, k, v and its result (2q + 2kv), q and k once more for their
    norms or rotation (q + kv), the layer's two sums (2h). Feed-forward: gate, up, activated gate, product (4i).
    """
    return 6 * shape.hidden + 3 * shape.query + 3 * shape.key_value + 4 * shape.intermediate


def activations(job: Job) -> int:
    """Return the bytes kept for the backward pass of one micro-batch, the vision tower's too.

    With checkpointing: the inputs of all layers, and what one layer keeps.
    """
    shape, tower = job.shape, job.shape.tower
    kept = job.micro_batch * job.tokens * kept_numbers(shape.layers, shape.hidden, layer_numbers(shape), job)
    if tower is not None:
        # Norms: input and output, twice; q, k, v and their result; the two sums; feed-forward before and after.
        one = 10 * tower.hidden + 2 * tower.intermediate
        kept += job.micro_batch * job.patches * kept_numbers(tower.layers, tower.hidden, one, job)
    return kept * passes(job)


def kept_numbers(layers: int, hidden: int, one: int, job: Job) -> int:
    """Return how many numbers all layers keep per token."""
    return layers * hidden + one if job.checkpointing else layers * one


def pixels(job: Job) -> int:
    """Return the bytes of a GPU's pictures, in float32 and for the whole step; the teacher reads the same ones."""
    tower = job.shape.tower
    return 0 if tower is None else job.completions // job.gpus * job.patches * tower.patch_numbers * FLOAT32


def rollout_cache(job: Job) -> int:
    """Return the bytes of keys and values while transformers samples all of a GPU's completions at once."""
    if job.vllm_share or job.rollouts_elsewhere:
        return 0
    # `generate` runs in the stored precision, not under autocast.
    each = BFLOAT16 if job.bfloat16 and job.lora_rank is not None else FLOAT32
    return 2 * job.shape.layers * job.shape.key_value * job.tokens * (job.completions // job.gpus) * each


def vllm_least(job: Job) -> int:
    """Return the bytes that a colocated vLLM can't do without: its copy of the weights, and one sequence's cache."""
    numbers = job.shape.parameters + 2 * job.shape.layers * job.shape.key_value * (job.context or job.tokens)
    return numbers * passes(job) // job.tensor_parallel


def vllm(job: Job) -> int:
    """Return the bytes of a colocated vLLM: its share of the GPU, and no less than it must have."""
    return max(int(job.vllm_share * job.gpu_bytes), vllm_least(job)) if job.vllm_share else 0


def vllm_sequences(job: Job) -> int:
    """Return how many full sequences' keys and values a colocated vLLM's share holds at a time."""
    one = 2 * job.shape.layers * job.shape.key_value * (job.context or job.tokens) * passes(job) // job.tensor_parallel
    left = vllm(job) - job.shape.parameters * passes(job) // job.tensor_parallel
    return max(left // one, 1) if job.vllm_share else 0


def phases(job: Job) -> list[dict[str, int]]:
    """Return the bytes of what does not happen at once: sampling, regrouping of the rollouts, update.

    A vLLM that does not sleep keeps its share through all of them.
    """
    update = {
        "update: gathered or cast weights": working_copy(job),
        "update: activations": activations(job),
        "update: logits": LOGIT_CHUNKS,
    }
    sampling = {"vLLM": vllm(job), "rollouts: keys and values": rollout_cache(job)}
    regrouping = {"regrouping: pictures once more": pixels(job)}
    awake = {} if job.vllm_sleeps else {"vLLM": vllm(job)}
    return [awake | update, awake | sampling, awake | regrouping]


def parts(job: Job) -> dict[str, int]:
    """Return the bytes of each part on one GPU, at the highest point of a step; 0 for what is not there then."""
    every = phases(job)
    high = max(every, key=lambda phase: sum(phase.values()))
    return {
        "weights": weights(job),
        "gradients": gradients(job),
        "optimiser": optimiser(job),
        "teacher": teacher(job),
        "pictures": pixels(job),
        **{name: high.get(name, 0) for phase in every for name in phase},
        "reserve": RESERVE,
    }


def host_bytes(job: Job, processes: int) -> int:
    """Return the bytes of a machine's own memory while its processes load: each the whole policy, and its teacher.

    All weights are loaded in the model's precision and made float32.
    """
    each = FLOAT32 if job.lora_rank is None else passes(job)
    external = job.external.parameters * passes(job) if job.external else 0
    return processes * ((1 + job.copies) * job.shape.parameters * each + external)


def static_bytes(job: Job) -> int:
    """Return what is held through the whole run, whatever the batch: weights, gradients, optimiser, teacher."""
    return weights(job) + gradients(job) + optimiser(job) + teacher(job)


def needed(job: Job) -> int:
    """Return the bytes that the job needs on each GPU."""
    return sum(parts(job).values())


def fits(job: Job) -> bool:
    """Tell whether the job fits."""
    return needed(job) <= job.gpu_bytes
