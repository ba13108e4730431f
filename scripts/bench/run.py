"""Time and memory of each arm's step beside TRL's plain GRPOTrainer: `python -m scripts.bench.run`.

Arms take turns, each in a process of its own: a round trains all of them for some steps from the base
model, and ratios are formed within the round, so that a machine that slows down slows all of them.
Same model, prompts, seed and settings; medians leave out the first steps of each turn. `--scaling`
varies completion length, group size and model width instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from rlsd_cli.runs.directory import write_json
from scripts.bench.limit import limit
from scripts.bench.summary import COLUMNS, WARM_UP, median, row, shapes_of, sizes_of, table
from scripts.bench.turn import PLAIN, Turn, launch

ARMS = ["sft", "grpo", "opd", "opsd", "sdpo", "grpo_opsd", "rlsd"]
SECONDS = dict.fromkeys(COLUMNS, ".3f")
# (what varies, its value, settings, width of a random model); the base has groups of 8 and a width of 64.
SCALING: list[tuple[str, int, dict[str, Any], int | None]] = [
    *(("completion tokens", n, {"train": {"max_completion_tokens": n}}, None) for n in (16, 32, 64, 128)),
    *(("group size", n, {"train": {"group_size": n, "max_completion_tokens": 32}}, None) for n in (2, 4, 16)),
    *(("model width", n, {"train": {"max_completion_tokens": 32}}, n) for n in (128, 256)),
]


def compare(arms: list[str], steps: int, rounds: int, threads: int, cpu_time: bool) -> dict[str, Any]:
    """Measure all arms in turns; print and return their rows and their distance from the arithmetic limit."""
    names = [PLAIN, *arms]
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            typer.echo(f"round {number + 1}/{rounds}: {name}", err=True)
            seen[name].append(launch(Turn(name, steps, threads, cpu_time=cpu_time)))
    rows = [row(name, seen[name], seen[PLAIN]) for name in names]
    limits = []
    for line in rows:
        turn = seen[line["arm"]][-1]
        work, least = limit(sizes_of(turn), shapes_of(turn), threads)
        total = sum(least.values())
        limits.append(
            {
                "arm": line["arm"],
                "GFLOP": (work.rollout + work.student + work.teacher + work.update) / 1e9,
                **least,
                "limit": total,
                "step": line["step"],
                "share": total / line["step"],
            }
        )
    kind = "CPU seconds" if cpu_time else "seconds"
    columns = {"arm": "", **SECONDS, "ratio": ".2f", "ratio_low": ".2f", "ratio_high": ".2f"}
    show(f"median {kind} per step by part, ratio to {PLAIN}", rows, columns | {"peak_mib": ".0f", "added_mib": ".0f"})
    parts = dict.fromkeys(("rollout", "student", "teacher", "update", "limit", "step"), ".3f")
    show("arithmetic limit, seconds", limits, {"arm": "", "GFLOP": ".1f", **parts, "share": ".2f"})
    return {"rows": rows, "limits": limits}


def scale(steps: int, threads: int, cpu_time: bool) -> dict[str, Any]:
    """Measure GRPO and RLSD over lengths, groups and widths, with completions that fill their budget."""
    rows = []
    for what, value, settings, width in SCALING:
        turns = [launch(Turn(arm, steps, threads, settings, width, True, cpu_time)) for arm in ("grpo", "rlsd")]
        grpo, rlsd = ({part: median(turn, part) for part in COLUMNS} for turn in turns)
        typer.echo(f"{what} {value}: grpo {grpo['step']:.3f}, rlsd {rlsd['step']:.3f}", err=True)
        rows.append(
            {
                "varies": f"{what} {value}",
                "grpo": grpo["step"],
                **{part: rlsd[part] for part in COLUMNS[1:]},
                "rlsd": rlsd["step"],
                "ratio": rlsd["step"] / grpo["step"],
                "peak_mib": turns[1]["peak_mib"],
            }
        )
    columns = {"varies": "", "grpo": ".3f", **SECONDS, "rlsd": ".3f", "ratio": ".2f", "peak_mib": ".0f"}
    del columns["step"]
    show("grpo and rlsd; parts are rlsd's", rows, columns)
    return {"rows": rows}


def show(title: str, rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    """Print a table."""
    Console(width=140).print(table(title, rows, columns))


def main(
    arms: Annotated[list[str] | None, typer.Argument(help="Arms beside TRL's plain trainer. Default: all.")] = None,
    steps: Annotated[int, typer.Option(min=WARM_UP + 2, help="Steps of a turn.")] = 16,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    scaling: Annotated[bool, typer.Option("--scaling", help="Vary length, group size and width instead.")] = False,
    cpu_time: Annotated[bool, typer.Option("--cpu-time", help="CPU seconds, steadier on a busy machine.")] = False,
    output: Annotated[Path | None, typer.Option(help="Also write the numbers as JSON.")] = None,
) -> None:
    """Print where a step's time goes, how it compares with TRL's, and how near the machine's limit it is."""
    found = scale(steps, threads, cpu_time) if scaling else compare(arms or ARMS, steps, rounds, threads, cpu_time)
    if output:
        write_json(output, {"steps": steps, "rounds": rounds, "threads": threads, "cpu_time": cpu_time, **found})


if __name__ == "__main__":
    typer.run(main)
