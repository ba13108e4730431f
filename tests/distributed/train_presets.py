"""Runs docs/gpu.md's command for eight GPUs for every arm, each process of two: train_presets.py PLACES.json FOLDER.

Only sizes are other: a tiny Qwen3-VL for the 8B and another for its teacher, tiny pictures, 2 steps of 8 completions,
and rollouts by transformers. The teacher's copy and the probe fall on both steps. About half of the rollouts are right.
"""

import json
import re
import shlex
import sys
from pathlib import Path

from train_cases import ended_by, verify

from rlsd_cli.arms import ARMS
from rlsd_cli.cli import app
from rlsd_cli.tasks.dataset import DatasetTask

PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"
SIZES = {
    "task.data.held_out": 4,
    "task.data.min_pixels": 64,
    "task.data.max_pixels": 1024,
    "task.data.max_completion_tokens": 12,
    "train.steps": 2,
    "train.prompts_per_step": 2,
    "train.group_size": 4,
    "train.micro_batch": 2,
    "train.threads": 1,
    "log.probe_every": 1,
}


def documented():
    """Return the words after ``-m rlsd_cli`` of the page's command under FSDP2, without the choice of vLLM."""
    text = PAGE.read_text().replace("\\\n", " ")
    (command, *_) = re.findall(r"^ {4}accelerate launch .*fsdp2\.yaml -m rlsd_cli (.*)$", text, re.MULTILINE)
    words = shlex.split(command)
    chosen = [place for place, word in enumerate(words) if word.startswith("rollout.")]
    assert chosen, "the command does not choose vLLM any more"
    return [word for place, word in enumerate(words) if place not in chosen and place + 1 not in chosen]


def command(arm, places):
    """Return the command for an arm with its sizes."""
    words = documented()
    words[words.index("--method") + 1] = arm
    words[words.index("task.data.path=DATA")] = f"task.data.path={places['rows']}"
    sizes = {**SIZES, "model.path": places["vision"]}
    if arm == "opd":
        sizes["teacher.model"] = places["vision-teacher"]
    else:
        sizes["teacher.sync_every"] = 1
    return [*words, "--quiet", *(word for name, value in sizes.items() for word in ("--set", f"{name}={value}"))]


def main(places, folder):
    DatasetTask.verify = verify
    for arm in ARMS:
        with ended_by(folder / arm):
            app([*command(arm, places), "--output-dir", str(folder / arm)], standalone_mode=False)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
