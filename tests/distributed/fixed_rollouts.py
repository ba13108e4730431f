"""Trains arms on rollouts that depend on the step and the row only, so that 1 and 2 processes have the same.

Run as a script by each process of a launcher: fixed_rollouts.py MODEL FOLDER ARM…
First it trains on free rollouts, into FOLDER/free; last it trains where a run lies already.
"""

import random
import sys
from pathlib import Path

from rlsd_cli.arms.configure import build
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.training.fast_rollouts import FastRolloutsMixin
from rlsd_cli.training.run import train
from rlsd_cli.verifiers.verdict import Verdict

STEPS, PROMPTS, GROUP = 2, 2, 4


def settings(method, model, *layers):
    small = {
        "method": method,
        "model": {"path": str(model)},
        "teacher": {"sync_every": 1},
        "train": {
            "steps": STEPS,
            "prompts_per_step": PROMPTS,
            "group_size": GROUP,
            "max_completion_tokens": 12,
            "save_every": STEPS,
            "learning_rate": 1e-3,
            "threads": 1,
        },
        "log": {"probe_every": STEPS, "probe_prompts": 2, "probe_group": 2},
    }
    return build([small, *layers])


def fixed(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
    """Return completions of 3 to 12 tokens, made from the step and the row in the whole batch."""
    start = self.accelerator.process_index * len(prompt_ids)
    rows = []
    for row in range(start, start + len(prompt_ids)):
        numbers = random.Random(1000 * self.state.global_step + row)
        rows.append([numbers.randrange(5, 25) for _ in range(numbers.randrange(3, 12))] + self.eos_token_ids[:1])
    return rows, None


def verify(self, completion, answer, example_id=""):
    """Judge by the number of words: about half of the fixed rollouts are right."""
    return Verdict(correct=len(completion.split()) % 2 == 0, extracted="")


def main(model, folder, methods):
    one_prompt = {"train": {"prompts_per_step": 1, "steps": 1, "save_every": 1}}
    train(settings("grpo", model, one_prompt), folder / "free")
    FastRolloutsMixin._generate_single_turn = fixed
    ArithmeticTask.verify = verify
    for method in methods:
        train(settings(method, model), folder / method)
    try:
        train(settings(methods[0], model), folder / methods[0])
    except UserError as error:
        print(f"told: {error}")
    except SystemExit as error:
        print(f"quiet: {error.code}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
