"""Trains with rollouts by a real vLLM on the CPU, case by case in one process; run by the tests as a script.

    rollouts.py FOLDER RESULT.json CASE…

writes, for each case, the lines of metrics.jsonl, what was said, and the error if there was one. The server's cases
ask one on FOLDER/text at port PORT_OF_SERVER. TRL sends weights to a server by NCCL, between GPUs: here a file
takes them there, and the rest is as it is.
"""

import json
import os
import sys
import urllib.request
from functools import partial
from pathlib import Path

import tiny_qwen3_vl
from places import write_text_model
from safetensors.torch import save_file
from trl.generation.vllm_client import VLLMClient
from trl.generation.vllm_generation import VLLMGeneration

from rlsd_cli.arms.configure import build
from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.base import Verdict
from rlsd_cli.tasks.dataset import DatasetTask
from rlsd_cli.training import arguments, preflight, vllm_rollouts
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


def asked(folder, learning_rate):
    """Return a run whose rollouts a server makes."""
    rollout = {"vllm_mode": "server", "vllm_server_host": "127.0.0.1", "vllm_server_port": port_of_server()}
    return text(folder, "opsd", {"rollout": rollout, "train": {"learning_rate": learning_rate}})


def port_of_server():
    return int(os.environ["PORT_OF_SERVER"])


def send_by_file(folder, client, metadata, weights):
    """Stand in for TRL's way to a server: write the weights into the model's folder and let the server read them."""
    held = {name: weight.detach().float().contiguous() for name, weight in weights}
    assert sorted(held) == sorted(name for name, *_ in metadata)
    if "lm_head.weight" not in held:
        raise AssertionError("the model of these tests has an output layer of its own")
    save_file(held, folder / "text" / "model.safetensors", metadata={"format": "pt"})
    wanted = json.dumps({"method": "reload_weights", "kwargs": {"weights_path": str(folder / "text")}}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port_of_server()}/collective_rpc", wanted, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).read()


def with_image_tokens(rollout, model, budget):
    """Return TRL's settings without what keeps image tokens from being sampled."""
    return {
        name: value for name, value in vllm_arguments(rollout, model, budget).items() if name != "generation_kwargs"
    }


vllm_arguments = arguments.vllm_arguments
# What a control takes away.
CONTROLS = {
    "unsynced": (vllm_rollouts.CheckedVLLM, "sync_weights", lambda self: None),
    "pictures-stale": (vllm_rollouts.CheckedVLLM, "sync_weights", VLLMGeneration.sync_weights),
    "pictures-twice": (vllm_rollouts, "once", lambda ids, image: ids),
    "pictures-sampled": (arguments, "vllm_arguments", with_image_tokens),
    "server-unsynced": (VLLMClient, "update_named_params", lambda self, metadata, weights: None),
}


def main(folder, result, names):
    ArithmeticTask.verify = DatasetTask.verify = lambda self, completion, answer, example_id="": Verdict(
        correct=len(completion) % 2 == 0, extracted=""
    )
    VLLMClient.init_communicator = lambda self, device=0: None
    VLLMClient.update_named_params = lambda *arguments: send_by_file(folder, *arguments)
    if any(name.startswith("server") for name in names):
        preflight.check_vllm_without_gpu = lambda config: None
    cases = {
        "rlsd": lambda: text(folder, "rlsd"),
        "opsd": lambda: text(folder, "opsd"),
        "lora": lambda: text(folder, "rlsd", {"train": {"lora_rank": 4}}),
        "unsynced": lambda: text(folder, "opsd"),
        "too-long": lambda: text(folder, "grpo", {"rollout": {"max_prompt_tokens": 4}}),
        "pictures": lambda: pictures(folder, "rlsd"),
        "pictures-stale": lambda: pictures(folder, "rlsd"),
        "pictures-twice": lambda: pictures(folder, "grpo"),
        "pictures-sampled": lambda: pictures(folder, "grpo"),
        "server": partial(asked, folder, 2e-2),
        "server-unsynced": partial(asked, folder, 2e-2),
    }
    found = {}
    for name in names:
        said, path = [], folder / "runs" / name
        found[name] = {"lines": [], "said": said, "error": None}
        owner, part, instead = CONTROLS.get(name, (None, None, None))
        kept = getattr(owner, part) if owner else None
        if owner:
            setattr(owner, part, instead)
        try:
            train(cases[name](), path, say=said.append)
            found[name]["lines"] = RunDir(path).metrics()
        except UserError as error:
            found[name]["error"] = str(error)
        except ValueError as error:  # of transformers
            found[name]["error"] = f"ValueError: {error}"
        if owner:
            setattr(owner, part, kept)
        result.write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # the engines' own way out waits for each other


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
