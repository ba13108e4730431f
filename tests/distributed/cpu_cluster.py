"""Processes on a CPU that accelerate and DeepSpeed shard over as if each had a GPU.

`launch` starts them with the environment that ``accelerate launch --config_file experiments/accelerate/….yaml`` makes;
`pretend` then lets accelerate take a CPU for the device of a multi-GPU process: accelerate 1.15 shards
with FSDP2 and DeepSpeed on accelerators only, although both run on gloo.
"""

import os
import subprocess
import sys
from pathlib import Path

PRESETS = Path(__file__).parents[2] / "experiments" / "accelerate"
LAUNCHER = ["-m", "torch.distributed.run", "--standalone"]


def environment(preset):
    """Return this environment with what accelerate's launcher adds for a preset, on 2 processes."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    asked = ["--config_file", str(PRESETS / f"{preset}.yaml"), "--num_processes", "2", "script.py"]
    args, defaults, _ = _validate_launch_command(launch_command_parser().parse_args(asked))
    if not args.use_deepspeed:
        return prepare_multi_gpu_env(args)
    args.deepspeed_fields_from_accelerate_config = ",".join(defaults.deepspeed_config)
    return {**prepare_deepspeed_cmd_env(args)[1], "DS_ACCELERATOR": "cpu", "DS_IGNORE_CUDA_DETECTION": "1"}


def pretend():
    """Make accelerate believe in GPUs whose memory is the CPU's."""
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType
    from transformers import TrainingArguments

    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState._prepare_backend = lambda self, *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)
    join, post_init = PartialState.__init__, TrainingArguments.__post_init__

    def join_anyway(self, cpu=False, **kwargs):
        join(self, cpu=False, **kwargs)

    def use_the_device(self):
        self.use_cpu = False
        post_init(self)

    PartialState.__init__, TrainingArguments.__post_init__ = join_anyway, use_the_device


def launch(processes, preset, script, *arguments, timeout=500):
    """Run a script, alone or in processes under a preset, and return what it printed."""
    command, variables = [sys.executable], dict(os.environ)
    if processes > 1:
        command += [*LAUNCHER, f"--nproc-per-node={processes}"]
    if preset:
        variables = {**environment(preset), "RLSD_TEST_PRETEND": "1"}
    result = subprocess.run(
        [*command, *map(str, [script, *arguments])],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=variables,
    )
    assert result.returncode == 0, result.stderr[-6000:]
    return result.stdout
