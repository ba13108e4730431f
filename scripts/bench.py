"""Time per step of each arm beside TRL's plain GRPOTrainer, in one run: `python scripts/bench.py`.

Arms take turns: a round trains each for some steps from the base model, and the ratio to our
GRPO is formed within the round, so that a machine that slows down slows all of them. Same
model, prompts, seed and settings; the medians leave out the first steps of each turn.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from rlsd_cli.artifacts import RunDir, write_json
from rlsd_cli.config import RunConfig, build, preset_file, read_yaml
from rlsd_cli.training.run import build_trainer, quiet_libraries, train

WARM_UP = 3
PLAIN = "TRL GRPOTrainer"
PARTS = ("time/step_s", "time/rollout_s", "time/teacher_s", "time/update_s")


def configuration(method: str, steps: int, threads: int) -> RunConfig:
    """Return the testbed's preset without probes inside the measured steps."""
    layer = {"train": {"steps": steps, "threads": threads, "save_every": steps}, "log": {"probe_every": 10 * steps}}
    return build([read_yaml(preset_file("micro", method)), layer])


def time_arm(method: str, steps: int, threads: int) -> list[dict[str, float]]:
    """Train an arm and return the seconds of its steps by part."""
    with tempfile.TemporaryDirectory() as folder:
        run = train(configuration(method, steps, threads), Path(folder) / "run")
        records = run.metrics()[WARM_UP:-1]  # the last step holds the closing probe and checkpoint
    return [{part: record.get(part, 0.0) for part in PARTS} for record in records]


def time_plain(steps: int, threads: int) -> list[dict[str, float]]:
    """Train TRL's own GRPOTrainer with the same settings and return the seconds of its steps."""
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOTrainer

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.started = 0.0
            self.seconds: list[float] = []

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.started = time.perf_counter()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs is not None and "loss" in logs:
                self.seconds.append(time.perf_counter() - self.started)

    with tempfile.TemporaryDirectory() as folder:
        run_dir = RunDir(Path(folder) / "run")
        ours, _ = build_trainer(configuration("grpo", steps, threads), run_dir, lambda record: None)
        context, clock = ours.context, Clock()
        arguments = ours.args
        arguments.save_strategy = "no"
        plain = GRPOTrainer(
            model=context.model,
            reward_funcs=ours.reward,
            args=arguments,
            train_dataset=context.dataset,
            processing_class=context.tokenizer,
            callbacks=[clock],
        )
        plain.remove_callback(PrinterCallback)
        plain.train()
    return [{"time/step_s": seconds} for seconds in clock.seconds[WARM_UP:-1]]


def median(rows: list[dict[str, float]], part: str) -> float:
    """Return the median seconds of a part of the step."""
    return statistics.median(row.get(part, 0.0) for row in rows)


def main(
    arms: Annotated[list[str] | None, typer.Argument(help="Arms beside grpo. Default: opsd and rlsd.")] = None,
    steps: Annotated[int, typer.Option(min=6, help="Steps of a turn.")] = 24,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    output: Annotated[Path | None, typer.Option(help="Also write the table as JSON.")] = None,
) -> None:
    """Print seconds per step by part, and the ratio to GRPO with its range over rounds."""
    quiet_libraries(threads)
    names = [PLAIN, "grpo", *(arms or ["opsd", "rlsd"])]
    seen: dict[str, list[list[dict[str, float]]]] = {name: [] for name in names}
    console = Console(stderr=True)
    for number in range(rounds):
        for name in names:
            console.print(f"round {number + 1}/{rounds}: {name}", highlight=False)
            seen[name].append(time_plain(steps, threads) if name == PLAIN else time_arm(name, steps, threads))
    rows = []
    for name in names:
        ratios = [
            median(turn, "time/step_s") / median(grpo, "time/step_s")
            for turn, grpo in zip(seen[name], seen["grpo"], strict=True)
        ]
        everything = [row for turn in seen[name] for row in turn]
        known = PARTS[:1] if name == PLAIN else PARTS
        measured = {part: median(everything, part) for part in known}
        rows.append(
            {"arm": name, **measured, "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
        )
    table = Table(title=f"median seconds per step, {threads} thread(s), {rounds} rounds of {steps} steps")
    for column in ("arm", "step", "rollout", "teacher", "update", "ratio to grpo", "range"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for row in rows:
        texts = [f"{row[part]:.3f}" if part in row else "–" for part in PARTS]
        table.add_row(str(row["arm"]), *texts, f"{row['ratio']:.2f}", f"{row['low']:.2f}–{row['high']:.2f}")
    Console().print(table)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    typer.echo(f"peak memory of the process: {memory:.2f} GiB")
    if output:
        write_json(output, {"threads": threads, "rounds": rounds, "steps": steps, "rows": rows, "peak_gib": memory})


if __name__ == "__main__":
    typer.run(main)
