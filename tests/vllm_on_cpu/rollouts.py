"""Trains with rollouts by a real vLLM on the CPU, case by case in one process; run by the tests as a script.

    rollouts.py FOLDER RESULT.json CASE…

writes, for each case, the lines of metrics.jsonl, what was said, and the error if one was told.
"""

import json
import os
import sys
from pathlib import Path

import tiny_qwen3_vl
from places import write_text_model

from rlsd_cli.arms.configure import build
from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.base import Verdict
from rlsd_cli.tasks.dataset import DatasetTask
from rlsd_cli.training import vllm_rollouts
from rlsd_cli.training.run import train


def settings(method, *layers):
    small = {
        "method": method,
        "rollout": {"engine": "vllm"},
        "teacher": {"sync_every": 1},
        "train": {
            "steps": 3,
            "prompts_per_step": 4,
            "group_size": 4,
            "max_completion_tokens": 16,
            "learning_rate": 2e-2,
            "micro_batch": 8,
            "threads": 1,
        },
        "log": {"probe_every": 2, "probe_prompts": 2, "probe_group": 2},
    }
    return build([small, *layers])


def text(folder, method, *layers):
    return settings(method, {"model": {"path": str(write_text_model(folder / "text"))}}, *layers)


def pictures(folder, method):
    shapes = tiny_qwen3_vl.write_questions(folder / "shapes", 16)
    data = {"path": str(shapes), "columns": {"images": "images"}, "held_out": 2}
    model = tiny_qwen3_vl.write_model(folder / "vision")
    layers = {"model": {"path": str(model)}, "task": {"name": "dataset", "data": data}}
    return settings(method, layers, {"train": {"learning_rate": 1e-3}})


def main(folder, result, names):
    ArithmeticTask.verify = DatasetTask.verify = lambda self, completion, answer, example_id="": Verdict(
        correct=len(completion) % 2 == 0, extracted=""
    )
    cases = {
        "rlsd": lambda: text(folder, "rlsd"),
        "opsd": lambda: text(folder, "opsd"),
        "lora": lambda: text(folder, "rlsd", {"train": {"lora_rank": 4}}),
        "unsynced": lambda: text(folder, "opsd"),
        "too-long": lambda: text(folder, "grpo", {"rollout": {"max_prompt_tokens": 4}}),
        "pictures": lambda: pictures(folder, "rlsd"),
        "pictures-twice": lambda: pictures(folder, "grpo"),
    }
    found, real, once = {}, vllm_rollouts.CheckedVLLM.sync_weights, vllm_rollouts.once
    for name in names:
        if name == "unsynced":
            vllm_rollouts.CheckedVLLM.sync_weights = lambda self: None
        if name == "pictures-twice":
            vllm_rollouts.once = lambda ids, image: ids
        said, path = [], folder / "runs" / name
        found[name] = {"lines": [], "said": said, "error": None}
        try:
            train(cases[name](), path, say=said.append)
            found[name]["lines"] = RunDir(path).metrics()
        except UserError as error:
            found[name]["error"] = str(error)
        vllm_rollouts.CheckedVLLM.sync_weights, vllm_rollouts.once = real, once
        result.write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # the engines' own way out waits for each other


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
