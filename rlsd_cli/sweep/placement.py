"""What each run of a sweep gets: GPUs, processes, tries; and how that changes its command."""

from __future__ import annotations

import itertools
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rlsd_cli.arms import load_arm
from rlsd_cli.config.shares import share_of_batch, share_of_prompts
from rlsd_cli.errors import UserError
from rlsd_cli.sweep.plan import PlannedRun

_DEVICE = re.compile(r"\d+|(GPU|MIG)-\S+")
LAUNCHER = ("accelerate", "launch")
# What accelerate would otherwise ask for or warn of, where no file of its own says it; `model.dtype` decides precision.
PLAIN = ("--multi_gpu", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")


@dataclass(frozen=True)
class Placement:
    """What one run gets.

    Attributes:
        gpus: GPUs of its own; None: not looked after, since there are none.
        processes: Processes that train it together.
        launcher: A configuration file of accelerate's, for shards; None: one whole model per process.
        tries: How often it is started again after its process or its machine was lost.
    """

    gpus: int | None = None
    processes: int = 1
    launcher: Path | None = None
    tries: int = 2

    def placed(self, run: PlannedRun) -> PlannedRun:
        """Return a run that trains through accelerate's launcher where it has several processes.

        Raises:
            UserError: Its batch can't be shared out.
        """
        if not run.train or self.processes == 1:
            return run
        share = share_of_batch if load_arm(run.config.method).data == "on-policy" else share_of_prompts
        share(run.config.train, self.processes)
        return replace(run, train=self.launched(run.train))

    def launched(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return a training command through accelerate; a free port is found anew at each start."""
        how = ("--config_file", str(self.launcher)) if self.launcher else PLAIN
        count = ("--num_processes", str(self.processes), "--main_process_port", "0")
        return (*LAUNCHER, *how, *count, "-m", "rlsd_cli", *command[1:])


def placement_of(gpus: int | None, processes: int | None, launcher: Path | None, tries: int) -> Placement:
    """Return what each run gets, from what the user has said of it.

    A GPU takes one process, and a process sees one GPU.

    Raises:
        UserError: The numbers contradict each other, or the launcher's file is missing or has nothing to launch.
    """
    if gpus and processes and gpus != processes:
        raise UserError(
            f"--gpus-per-run {gpus} and --processes-per-run {processes} contradict each other: a process trains on "
            "one GPU, so give one of the two, or --gpus-per-run 0 for processes on CPUs."
        )
    count = processes or gpus or 1
    if launcher is not None and count == 1:
        raise UserError("--accelerate-config is for runs of several processes: add --processes-per-run N.")
    if launcher is not None and not launcher.is_file():
        raise UserError(f"{launcher} does not exist: give accelerate's configuration file, or leave it out.")
    return Placement(gpus, count, launcher.absolute() if launcher else None, tries)


def executable(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command with this interpreter in front, so that it needs no PATH."""
    if command[: len(LAUNCHER)] == LAUNCHER:
        return (sys.executable, "-m", "rlsd_cli.sweep.launcher", *command[len(LAUNCHER) :])
    return (sys.executable, "-m", "rlsd_cli", *command[1:])


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them (numbers or ids)."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        names = [name.strip() for name in named.split(",")]
        return list(itertools.takewhile(_DEVICE.fullmatch, names))  # CUDA, too, stops at the first that is none
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def devices_of(placement: Placement, jobs: int | None, accelerated: bool) -> tuple[Placement, list[str], int]:
    """Share out this machine.

    Args:
        placement: What each run gets; where GPUs are not mentioned and there are some, each process gets one.
        jobs: Runs at a time, as the user asked; None: as many as fit.
        accelerated: Whether this machine has an accelerator at all; asked for is looked for in any case.

    Returns:
        The placement, the GPUs to share out, and how many runs go at a time.

    Raises:
        UserError: There are fewer GPUs than one run needs, or than so many runs at a time need.
    """
    gpus = visible_gpus() if placement.gpus or (placement.gpus is None and accelerated) else []
    if placement.gpus is None and gpus:
        placement = replace(placement, gpus=placement.processes)
    if not placement.gpus:
        return placement, [], jobs or max(1, (os.cpu_count() or 1) // placement.processes)
    fit = len(gpus) // placement.gpus
    if not fit:
        raise UserError(
            f"a run is to have {placement.gpus} GPUs and {len(gpus) or 'none'} can be seen here: "
            "give a smaller --gpus-per-run, or 0 for the CPU."
        )
    if jobs and jobs > fit:
        raise UserError(f"{len(gpus)} GPUs hold {fit} runs of {placement.gpus} at a time: give --jobs {fit} or fewer.")
    return placement, gpus, jobs or fit
