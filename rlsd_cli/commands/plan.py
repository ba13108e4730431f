"""`rlsd plan`: whether a run fits on some GPUs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rlsd_cli.arms import configure
from rlsd_cli.config import layers
from rlsd_cli.config.assignments import parse_assignment

if TYPE_CHECKING:
    from rlsd_cli.memory.memory import Job

WHAT, MACHINE = "What to run", "The machine"
GPUS_OF_A_MACHINE = 8


def plan(
    model: Annotated[str, typer.Option(help="A known model, or a directory with config.json.", rich_help_panel=WHAT)],
    gpus: Annotated[int, typer.Option(min=1, help="GPUs that train.", rich_help_panel=MACHINE)] = 1,
    gpu_memory: Annotated[float, typer.Option(min=1, help="Memory of a GPU in GiB.", rich_help_panel=MACHINE)] = 80.0,
    sharding: Annotated[
        Literal["ddp", "fsdp2", "zero3"] | None,
        typer.Option(help="Default: all that the arm has.", rich_help_panel=MACHINE),
    ] = None,
    method: Annotated[str, typer.Option("--method", "-m", help="The arm.", rich_help_panel=WHAT)] = "rlsd",
    preset: Annotated[
        str | None, typer.Option(help="Settings from experiments/PRESET/METHOD.yaml.", rich_help_panel=WHAT)
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file instead of a preset.", rich_help_panel=WHAT)] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.SUB=VALUE", help="Set one value; repeatable.", rich_help_panel=WHAT),
    ] = None,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tokens of the longest prompt, the images' too.  [default: rollout.max_prompt_tokens]",
            rich_help_panel=WHAT,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print bytes as JSON on stdout.")] = False,
) -> None:
    """Say whether a run fits into the GPUs' memory, from the model's shape alone: nothing is downloaded.

    The sums were never held against a GPU's own count: leave a margin.

    Exit code 0: it fits, with at least one sharding. 1: it doesn't. 2: the question can't be answered.

    Examples:
      rlsd plan --model Qwen/Qwen3-VL-8B-Instruct --preset qwen3-vl-8b --gpus 8
      rlsd plan --model ./my-model --gpus 1 --gpu-memory 24 --set train.lora_rank=16
    """
    from rlsd_cli.arms import load_arm
    from rlsd_cli.memory.jobs import job_of
    from rlsd_cli.memory.memory import GIB, SHARDINGS, fits
    from rlsd_cli.memory.shapes import shape_of
    from rlsd_cli.training.preflight import refuse_zero3

    layer: dict[str, Any] = {}
    if config is not None:
        layer = layers.read_yaml(config)
    elif preset is not None:
        layer = configure.preset_layer(preset, method)
    sets = [parse_assignment(text) for text in assignments or []]
    if layer.get("task", {}).get("name") == "dataset":  # which questions they are matters to no plan
        layer = layers.merge({"task": {"data": {"path": "questions"}}}, layer)
    told = {"method": method, "model": {"path": model}}
    settings = configure.build([{"model": {"dtype": "bfloat16"}}, layer, told, *sets], "the plan's configuration")
    arm, shape = load_arm(settings.method), shape_of(settings.model.path)
    if sharding == "zero3":
        refuse_zero3(arm)
    possible = [kind for kind in SHARDINGS if kind != "zero3" or arm.divergence is None]
    kinds = [sharding] if sharding else possible if gpus > 1 else possible[:1]
    jobs = [
        job_of(
            settings,
            arm,
            shape,
            gpus=gpus,
            sharding=kind,
            gpu_bytes=int(gpu_memory * GIB),
            prompt_tokens=prompt_tokens or settings.rollout.max_prompt_tokens,
        )
        for kind in kinds
    ]
    (show_json if as_json else show)(model, jobs)
    if not any(fits(job) for job in jobs):
        raise typer.Exit(1)


def show_json(model: str, jobs: list[Job]) -> None:
    """Print the parts in bytes."""
    from rlsd_cli.memory.memory import fits, host_bytes, needed, parts

    plans = {
        job.sharding: {
            "parts": parts(job),
            "needed": needed(job),
            "available": job.gpu_bytes,
            "fits": fits(job),
            "host": host_bytes(job, on_one_machine(job)),
        }
        for job in jobs
    }
    typer.echo(json.dumps({"model": model, "parameters": jobs[0].shape.parameters, "plans": plans}, indent=1))


def on_one_machine(job: Job) -> int:
    """Return how many of a job's GPUs share a machine, as most are built."""
    return min(job.gpus, GPUS_OF_A_MACHINE)


def show(model: str, jobs: list[Job]) -> None:
    """Print a table in GiB, and the answer in a sentence."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rlsd_cli.memory.advice import advice
    from rlsd_cli.memory.memory import GIB, fits, host_bytes, needed, parts, vllm, vllm_least, vllm_sequences

    first = jobs[0]
    table = Table(
        title=f"{escape(model)}: {first.shape.parameters / 1e9:.2f}e9 parameters, {first.gpus} GPU, "
        f"{first.micro_batch} x {first.tokens} tokens a pass; GiB per GPU",
        title_justify="left",
    )
    table.add_column("part")
    for job in jobs:
        table.add_column(job.sharding if job.gpus > 1 else "one GPU", justify="right")
    rows = [parts(job) for job in jobs]
    for name in rows[0]:
        if any(row[name] for row in rows):
            table.add_row(name, *(f"{row[name] / GIB:.1f}" for row in rows))
    table.add_section()
    table.add_row("together", *(f"{needed(job) / GIB:.1f}" for job in jobs))
    table.add_row("a GPU has", *(f"{job.gpu_bytes / GIB:.1f}" for job in jobs))
    console = Console()
    console.print(table)
    if first.vllm_share and vllm(first) == vllm_least(first):
        least = vllm_least(first) / first.gpu_bytes
        console.print(f"vLLM needs more than its share: set rollout.vllm_gpu_memory to {least:.2f} at least.")
    if first.vllm_share:
        console.print(
            f"vLLM samples {vllm_sequences(first)} sequences of {first.context} tokens at a time on a GPU; a larger "
            "share, with rollout.vllm_sleep=true, is faster.",
            highlight=False,
        )
    processes = on_one_machine(first)
    console.print(
        f"While it loads, a machine's own memory holds {host_bytes(first, processes) / GIB:.0f} GiB "
        f"({processes} {'process' if processes == 1 else 'processes'}).",
        highlight=False,
    )
    console.print("Sums, which no GPU has confirmed: leave a margin.", highlight=False)
    good = [job.sharding for job in jobs if fits(job)]
    if good:
        console.print("It fits." if first.gpus == 1 else f"It fits with {' and '.join(good)}.", highlight=False)
        return
    last = jobs[-1] if len(jobs) == 1 else min(jobs, key=needed)
    lacking = (needed(last) - last.gpu_bytes) / GIB
    help_ = advice(last)
    remedy = f"it would with {help_}" if help_ else "and with none of the changes that rlsd knows"
    console.print(f"It does not fit: {lacking:.1f} GiB a GPU are lacking ({last.sharding}); {remedy}.", highlight=False)
