#!/usr/bin/env python
"""Kill runs at random moments, go on with them, and ask whether anything was lost.

    python scripts/soak.py --minutes 30

Each arm is trained once undisturbed. Then, arm by arm, the same run is started again and again as a process of its
own and ended with SIGKILL: at a random time, or just after a line of metrics.jsonl, a file of completions or a
checkpoint has been seen to appear. After a few kills it is let run to its end. Metrics (without times), completions,
credit, final weights and the left-over files must be those of the undisturbed run. Exits with 1 on any difference.

The processes are forked from a server that has imported the libraries (multiprocessing's "forkserver"), so that the
time goes into training and not into imports; each runs `rlsd train` from its command line.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker"  # killed processes give no semaphore back
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlsd_cli.arms import ARMS, load_arm  # noqa: E402
from rlsd_cli.runs.checkpoints import checkpoints, is_complete  # noqa: E402
from rlsd_cli.runs.directory import RunDir  # noqa: E402

MOMENTS = ("any time", "metrics", "completions", "checkpoint")
POLL_S = 0.0005
KILLS = (2, 8)  # of one run
SETTINGS = (
    *("train.steps=12", "train.prompts_per_step=2", "train.group_size=4", "train.save_every=2"),
    *("train.keep_checkpoints=2", "train.max_completion_tokens=16", "train.learning_rate=1e-3", "train.threads=1"),
    *("log.probe_every=3", "log.probe_prompts=2", "log.probe_group=2"),
)
TRAINERS = sorted({load_arm(name).trainer.partition(":")[0] for name in ARMS})
PRELOAD = ["rlsd_cli.training.run", "rlsd_cli.training.probe", "pandas", "pyarrow.parquet", *TRAINERS]


@dataclass
class Tally:
    """What happened to the runs of one arm."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


def command(arm: str, path: Path) -> list[str]:
    """Return the command line of an arm's run."""
    teacher = ("teacher.model=micro-base",) if arm == "opd" else ()
    sets = [word for text in (*SETTINGS, *teacher) for word in ("--set", text)]
    return ["rlsd", "train", "--method", arm, *sets, "--output-dir", str(path), "--resume"]


def run_command(words: list[str], log: str) -> None:
    """Run `rlsd` in this process, with its output in a file; called in a process of its own."""
    from rlsd_cli.cli import main

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = words
    main()


def start(arm: str, path: Path) -> Any:
    """Start an arm's run, or go on with it."""
    log = path.with_suffix(".log")
    process = multiprocessing.get_context("forkserver").Process(target=run_command, args=(command(arm, path), str(log)))
    process.start()
    return process


def seen(path: Path, moment: str) -> Any:
    """Return what changes when a run writes the files of a moment."""
    run = RunDir(path)
    if moment == "metrics":
        return run.metrics_file.stat().st_size if run.metrics_file.is_file() else 0
    if moment == "checkpoint":
        return {step for step, _ in checkpoints(run.checkpoints_dir)} if run.checkpoints_dir.is_dir() else set()
    # The temporary files count, too: they are there while a file is being written.
    return {file.name for file in run.completions_dir.glob(".*")} if run.completions_dir.is_dir() else set()


def wait_for(process: Any, path: Path, moment: str, chance: random.Random, longest_s: float) -> bool:
    """Wait until the process shall be killed; return False if it ended before.

    Args:
        process: The run.
        path: Its directory.
        moment: One of `MOMENTS`.
        chance: Decides how long.
        longest_s: Seconds that an undisturbed run takes.
    """
    if moment == "any time":
        process.join(chance.uniform(0, longest_s))
        return process.is_alive()
    changes = chance.randint(1, 3)
    before = seen(path, moment)
    while process.is_alive():
        now = seen(path, moment)
        if now != before:
            before, changes = now, changes - 1
            if not changes:
                time.sleep(chance.choice((0, chance.uniform(0, 0.005), chance.uniform(0, 0.1))))
                return process.is_alive()
        time.sleep(POLL_S)
    return False


def in_the_middle(path: Path) -> Iterator[str]:
    """Yield what a killed run has left half done."""
    run = RunDir(path)
    if run.metrics_file.is_file() and run.metrics_file.read_bytes()[-1:] not in (b"", b"\n"):
        yield "a torn line"
    if any(path.rglob(".*.tmp")):
        yield "a temporary file"
    if any(not is_complete(folder) for _, folder in checkpoints(run.checkpoints_dir)):
        yield "a checkpoint"
    if not run.status_file.is_file():
        yield "no status yet"
    elif run.status().get("state") != "complete" and (run.model_dir / "config.json").is_file():
        yield "the final model"


def without_times(run: RunDir) -> list[dict[str, Any]]:
    """Return the metrics that must be the same again."""
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in run.metrics()]


def differences(one: RunDir, other: RunDir) -> Iterator[str]:
    """Yield in words what two finished runs of one configuration do not share."""
    import pandas as pd
    from safetensors.torch import load_file

    if one.status().get("state") != "complete" or other.status().get("state") != "complete":
        yield "one of the runs is not complete"
        return
    if one.config_file.read_bytes() != other.config_file.read_bytes():
        yield "config.yaml"
    if without_times(one) != without_times(other):
        yield "metrics.jsonl"
    for name in ("completions_dir", "credit_dir"):
        files, others = (dict(run.step_files(getattr(run, name))) for run in (one, other))
        if files.keys() != others.keys():
            yield f"{name}: steps {sorted(files.keys() ^ others.keys())}"
        for step in files.keys() & others.keys():
            if not pd.read_parquet(files[step]).equals(pd.read_parquet(others[step])):
                yield f"{name}: step {step}"
    weights, expected = (load_file(run.model_dir / "model.safetensors") for run in (one, other))
    if weights.keys() != expected.keys() or any(not weights[name].equal(expected[name]) for name in weights):
        yield "weights"
    if left := [file.name for file in other.path.rglob(".*.tmp")]:
        yield f"temporary files are left over: {left}"


def disturbed(arm: str, path: Path, chance: random.Random, longest_s: float, tally: Tally, kills: int) -> None:
    """Train a run with ``kills`` kills on its way, fewer if it gets to its end before, and then to its end."""
    for _ in range(kills):
        moment = chance.choice(MOMENTS if arm != "sft" else [each for each in MOMENTS if each != "completions"])
        process = start(arm, path)
        if not wait_for(process, path, moment, chance, longest_s):
            process.join()
            break
        process.kill()
        process.join()
        tally.kills[moment] += 1
        tally.caught.update(in_the_middle(path))
    process = start(arm, path)
    process.join()
    tally.runs += 1
    if process.exitcode:
        last = path.with_suffix(".log").read_text(errors="replace").strip().splitlines()[-1:]
        tally.differences.append(f"{path.name}: exit code {process.exitcode}, {' '.join(last)}")


def soak(arms: list[str], folder: Path, seed: int, until: float, most_kills: int | None) -> dict[str, Tally]:
    """Soak the arms in turn until a time (monotonic seconds), or until each has been killed ``most_kills`` times."""
    chance = random.Random(f"soak-{seed}")
    tallies = {arm: Tally() for arm in arms}
    whole: dict[str, tuple[RunDir, float]] = {}
    turn = 0
    while time.monotonic() < until:
        waiting = [arm for arm in arms if most_kills is None or tallies[arm].kills.total() < most_kills]
        if not waiting:
            break
        arm = waiting[turn % len(waiting)]
        tally = tallies[arm]
        if arm not in whole:
            started = time.monotonic()
            process = start(arm, folder / f"{arm}-whole")
            process.join()
            whole[arm] = RunDir(folder / f"{arm}-whole"), time.monotonic() - started
            if process.exitcode:
                raise SystemExit(whole[arm][0].path.with_suffix(".log").read_text(errors="replace"))
        kills = chance.randint(*KILLS)
        if most_kills is not None:
            kills = min(kills, most_kills - tally.kills.total())
        path = folder / f"{arm}-{turn:05d}"
        disturbed(arm, path, chance, whole[arm][1], tally, kills)
        tally.differences += [f"{path.name}: {text}" for text in differences(whole[arm][0], RunDir(path))]
        turn += 1
        print(
            f"{arm}: {tally.runs} runs, {tally.kills.total()} kills, {len(tally.differences)} differences", flush=True
        )
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """Return the tallies as a markdown table."""
    lines = [
        f"| arm | runs | kills | {' | '.join(MOMENTS)} | left half done | differences |",
        f"|---|{'---:|' * (len(MOMENTS) + 2)}---|---:|",
    ]
    total = Tally()
    for arm, tally in tallies.items():
        lines.append(row(arm, tally))
        total.runs += tally.runs
        total.kills += tally.kills
        total.caught += tally.caught
        total.differences += tally.differences
    return "\n".join([*lines, row("all", total)])


def row(name: str, tally: Tally) -> str:
    """Return a line of the table."""
    counts = " | ".join(str(tally.kills[moment]) for moment in MOMENTS)
    caught = ", ".join(f"{count} × {what}" for what, count in sorted(tally.caught.items())) or "–"
    return f"| {name} | {tally.runs} | {tally.kills.total()} | {counts} | {caught} | {len(tally.differences)} |"


def main() -> None:
    """Soak the arms, print the table, and exit with 1 on any difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long, to the end of the last run begun")
    parser.add_argument("--arm", action="append", choices=list(ARMS), help="only this arm; repeatable")
    parser.add_argument("--kills", type=int, help="stop when each arm has been killed so often")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    multiprocessing.set_forkserver_preload(PRELOAD)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rlsd-soak-") as name:
        arms = options.arm or list(ARMS)
        tallies = soak(arms, Path(name), options.seed, started + 60 * options.minutes, options.kills)
        print(table(tallies))
        kills = sum(tally.kills.total() for tally in tallies.values())
        print(f"{kills} kills in {(time.monotonic() - started) / 60:.1f} minutes, seed {options.seed}")
        bad = [text for tally in tallies.values() for text in tally.differences]
        print("\n".join(bad))
    sys.exit(1 if bad or not kills else 0)


if __name__ == "__main__":
    main()
