"""Processes on a CPU that accelerate and DeepSpeed shard over as if each had a GPU.

`launch` starts them with the environment that ``accelerate launch --config_file experiments/accelerate/….yaml`` makes;
`pretend` then lets accelerate take a CPU for the device of a multi-GPU process: accelerate 1.15 shards
with FSDP2 and DeepSpeed on accelerators only, although both run on gloo.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PRESETS = Path(__file__).parents[2] / "experiments" / "accelerate"
LAUNCHER = ["-m", "torch.distributed.run", "--standalone"]
# Seconds without any file written: importing everything takes a minute where other work shares the cores.
PATIENCE = 600


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
    from transformers import TrainingArguments, training_args

    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState._prepare_backend = lambda self, *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)
    join, post_init = PartialState.__init__, TrainingArguments.__post_init__

    def join_anyway(self, cpu=False, **kwargs):
        join(self, cpu=False, **kwargs)

    def use_the_device(self):
        self.use_cpu = False
        post_init(self)

    PartialState.__init__, TrainingArguments.__post_init__ = join_anyway, use_the_device
    training_args.is_torch_bf16_gpu_available = lambda: True


def launch(processes, preset, script, *arguments, watch):
    """Run a script, alone or in processes under a preset.

    It is ended where nothing in the folder ``watch`` has been written for `PATIENCE` seconds.

    Raises:
        AssertionError: It failed; with the end of what it printed.
    """
    command, variables = [sys.executable], dict(os.environ)
    if processes > 1:
        command += [*LAUNCHER, f"--nproc-per-node={processes}"]
    if preset:
        variables = {**environment(preset), "RLSD_TEST_PRETEND": "1"}
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            [*command, *map(str, [script, *arguments])], stdout=printed, stderr=subprocess.STDOUT, env=variables
        )
        seen, since = newest(watch), time.monotonic()
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            if (now := newest(watch)) != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since > PATIENCE:
                process.terminate()  # the launcher ends its processes
                process.wait()
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    assert process.returncode == 0, f"exit code {process.returncode}\n{text[-6000:]}"


def newest(folder):
    """Return when a file in a folder was last written."""
    times = [0]
    for path in Path(folder).rglob("*"):
        with suppress(OSError):
            times.append(path.stat().st_mtime_ns)
    return max(times)
