"""Completes questions greedily by both engines; run by the tests as a script: greedy.py FOLDER RESULT.json."""

import json
import os
import sys
from pathlib import Path

import tiny_qwen3_vl
from places import write_text_model

from rlsd_cli.generation.engine import EngineOptions
from rlsd_cli.generation.sampling import Sampling
from rlsd_cli.generation.transformers_engine import TransformersEngine
from rlsd_cli.generation.vllm_engine import VllmEngine
from rlsd_cli.tasks.arithmetic import ArithmeticTask


def chats(folder):
    """Return questions with pictures."""
    return [
        [{"role": "user", "content": [*({"type": "image", "image": one} for one in row["pictures"]), words(row)]}]
        for row in tiny_qwen3_vl.questions(12)
    ]


def words(row):
    return {"type": "text", "text": row["prompt"]}


def main(folder, result):
    task = ArithmeticTask()
    asked = {
        "text": (write_text_model(folder / "text"), [task.train_example(0, index).prompt for index in range(24)]),
        "pictures": (tiny_qwen3_vl.write_model(folder / "vision"), chats(folder)),
    }
    how = {"samples": 1, "max_new_tokens": 16, "sampling": Sampling(1.0), "greedy": True, "seed": 0}
    found = {}
    for name, (model, prompts) in asked.items():
        transformers = TransformersEngine(str(model), EngineOptions())
        vllm = VllmEngine(str(model), EngineOptions("vllm", context=256), images=2 if name == "pictures" else 0)
        found[name] = {
            "transformers": [each[0].text for each in transformers.complete(prompts, **how)],
            "vllm": [each[0].text for each in vllm.complete(prompts, **how)],
        }
        result.write_text(json.dumps(found))
        vllm.llm.llm_engine.engine_core.shutdown()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
