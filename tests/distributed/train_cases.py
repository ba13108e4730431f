"""Trains cases on rollouts that depend on the step and the row only, so that 1 and 2 processes have the same.

Run by each process: train_cases.py CASES.json FOLDER. Several processes stop after step 2, by a signal to the first
one, and go on from the checkpoint; one process trains without a stop. A case that fails is written down, and ends all.
"""

import os
import random
import signal
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

if os.environ.get("RLSD_TEST_PRETEND"):
    from cpu_cluster import pretend

    pretend()

import torch
from cases import read_cases
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl import GRPOTrainer
from trl.trainer import grpo_trainer

from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.base import Verdict
from rlsd_cli.tasks.dataset import DatasetTask
from rlsd_cli.training.distributed import on_main, rank, world_size
from rlsd_cli.training.fast_rollouts import FastRolloutsMixin
from rlsd_cli.training.run import train


def fixed(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
    """Return completions of 3 to 12 tokens, made from the step and the row in the whole batch."""
    start = self.accelerator.process_index * len(prompt_ids)
    rows = []
    for row in range(start, start + len(prompt_ids)):
        numbers = random.Random(1000 * self.state.global_step + row)
        rows.append([numbers.randrange(7, 24) for _ in range(numbers.randrange(3, 12))] + self.eos_token_ids[:1])
    return rows, None


def verify(self, completion, answer, example_id=""):
    """Judge by the number of characters: about half of the fixed rollouts are right. Each has an answer."""
    return Verdict(correct=len(completion) % 2 == 0, extracted=str(len(completion) % 10))


def stop_at_once(record):
    if record["step"] == 1:
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def ended_by(path):
    """End all processes where the block fails, and write why into the run's folder."""
    try:
        yield
    except BaseException:
        path.mkdir(parents=True, exist_ok=True)
        (path / f"failed-{rank()}.txt").write_text(traceback.format_exc())
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(3)  # the others hang in a collective: the launcher ends them


def main(cases_file, folder):
    FastRolloutsMixin._own_loop = lambda *args: None
    GRPOTrainer._generate_single_turn = fixed
    grpo_trainer.shuffle_sequence_dict = lambda rows: rows  # so that passes are of the same rows
    ArithmeticTask.verify = DatasetTask.verify = verify
    cases, places = read_cases(cases_file)
    alone = world_size() == 1
    if not alone:
        on_main(lambda: None)  # joins the processes, as training does first of all
        group = torch.distributed.distributed_c10d._get_default_group()
        patience = group._get_backend(torch.device("cpu")).options._timeout
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "patience.txt").write_text(str(patience.total_seconds()))
    for case in cases:
        config, path = case.config(places, world_size()), folder / (case.alone if alone else case.name)
        with ended_by(path):
            if alone:
                train(config, path)
            else:
                train(config, path, on_step=stop_at_once)
                unset_hf_deepspeed_config()  # or the next model is cut into shards while it is loaded
                train(config, path, resume=True)
                unset_hf_deepspeed_config()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
