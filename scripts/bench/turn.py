"""One turn of one arm in a process of its own: `python -m scripts.bench.turn '{"method": "rlsd", …}'`.

A process each, so that the peak memory is the arm's own. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import rlsd_cli

PLAIN = "TRL GRPOTrainer"


@dataclass(frozen=True)
class Turn:
    """What to measure: an arm, or TRL's plain GRPOTrainer with the GRPO arm's settings, data and seed."""

    method: str
    steps: int = 16
    threads: int = 1
    settings: dict[str, Any] = field(default_factory=dict)  # a layer of configuration
    width: int | None = None  # a random model of this hidden size in place of the testbed's
    endless: bool = False  # completions never stop before their budget
    cpu_time: bool = False  # CPU seconds in place of wall seconds


def launch(turn: Turn) -> dict[str, Any]:
    """Run the turn in a new process and return what it measured.

    Raises:
        RuntimeError: The process failed; its last words are in the message.
    """
    path = os.pathsep.join([str(Path(rlsd_cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench.turn", json.dumps(asdict(turn))],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(turn.threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{turn.method}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def configuration(turn: Turn, folder: Path) -> Any:
    """Return the testbed's preset without probes and checkpoints inside the measured steps."""
    from rlsd_cli.arms.configure import build, preset_file
    from rlsd_cli.config.layers import read_yaml

    layer: dict[str, Any] = {
        "train": {"steps": turn.steps, "threads": turn.threads, "save_every": turn.steps},
        "log": {"probe_every": 10 * turn.steps},
    }
    if turn.width is not None:
        layer["model"] = {"path": str(random_model(turn.width, folder / "model"))}
    method = "grpo" if turn.method == PLAIN else turn.method
    return build([read_yaml(preset_file("micro", method)), layer, turn.settings])


def random_model(width: int, path: Path) -> Path:
    """Write a random model of the testbed's shape, ``width`` in place of its hidden size of 64."""
    from rlsd_cli.config.recipe import Recipe
    from rlsd_cli.testbed.network import build_model, build_tokenizer

    tokenizer = build_tokenizer()
    build_model(Recipe(width=width)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def plain(ours: Any) -> Any:
    """Return TRL's own GRPOTrainer with the arguments, model, data and reward of our GRPO arm."""
    from transformers import PrinterCallback
    from trl import GRPOTrainer

    trainer = GRPOTrainer(
        model=ours.context.model,
        reward_funcs=ours.reward,
        args=ours.args,
        train_dataset=ours.context.dataset,
        processing_class=ours.context.tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def measure(turn: Turn) -> dict[str, Any]:
    """Train for the turn's steps in this process.

    Returns:
        ``steps``: seconds of each step by part; ``shapes``: what the last one computed on; ``sizes``: the
        model's; ``loaded_mib`` and ``peak_mib``: the process's largest memory before and after training.
    """
    from rlsd_cli.models.libraries import quiet_libraries
    from rlsd_cli.runs.directory import RunDir
    from rlsd_cli.training.run import build_trainer
    from scripts.bench.clock import Clock
    from scripts.bench.flops import Sizes

    quiet_libraries(turn.threads)
    with tempfile.TemporaryDirectory() as name:
        config = configuration(turn, Path(name))
        trainer, _ = build_trainer(config, RunDir(Path(name) / "run"), lambda record: None)
        trainer.args.save_strategy = "no"
        if turn.method == PLAIN:
            trainer = plain(trainer)
        if turn.endless:
            trainer.eos_token_ids = [-1]
        clock = Clock(trainer, turn.cpu_time)
        loaded = peak_mib()
        trainer.train()
    return {
        "steps": clock.steps,
        "shapes": {**clock.shapes, "prompts": config.train.prompts_per_step},
        "sizes": asdict(Sizes.of(trainer.model.config)),
        "loaded_mib": loaded,
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(measure(Turn(**json.loads(sys.argv[1])))))
