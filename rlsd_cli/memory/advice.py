"""What would make a job fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rlsd_cli.memory.memory import Job, fits, needed

MOST_GPUS = 1024
VLLM_SHARE = 0.3


def changes(job: Job) -> Iterator[tuple[str, Job]]:
    """Yield (words, changed job), one change each, from the one that costs least."""
    yield "train.gradient_checkpointing=true", replace(job, checkpointing=True)
    if not job.vllm_share:
        yield "rollout.engine=vllm", replace(job, vllm_share=VLLM_SHARE)
    if job.vllm_share:
        yield "rollout.vllm_sleep=true", replace(job, vllm_sleeps=True)
    if job.gpus > 1:
        yield "FSDP2", replace(job, sharding="fsdp2")
    yield "train.micro_batch=1", replace(job, micro_batch=1)


def larger(job: Job) -> Iterator[tuple[str, Job]]:
    """Yield (words, changed job) for LoRA, and then for ever more GPUs."""
    if job.lora_rank is None:
        yield "train.lora_rank=16", replace(job, lora_rank=16, copies=0)
    gpus = 2 * job.gpus
    while gpus <= MOST_GPUS:
        if job.completions % gpus == 0:
            yield f"{gpus} GPUs with FSDP2", replace(job, gpus=gpus, sharding="fsdp2")
        gpus *= 2


def advice(job: Job) -> str:
    """Return the changes after which a job fits, in words; '' if none of those tried is enough.

    Changes of the settings that help are taken one after another; if all of them are not enough,
    LoRA and more GPUs are looked at on top, and both are named where both would do.
    """
    taken: list[str] = []
    for words, changed in changes(job):
        if needed(changed) < needed(job):
            taken, job = [*taken, words], changed
        if fits(job):
            return " and ".join(taken)
    lora = [words for words, changed in larger(job) if changed.lora_rank != job.lora_rank and fits(changed)]
    more = [words for words, changed in larger(job) if changed.gpus != job.gpus and fits(changed)]
    last = " or ".join(lora + more[:1])
    return " and ".join([*taken, last]) if last else ""
