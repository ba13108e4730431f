"""The commands of a sweep, each in a process of its own that ends with the sweep.

Starting a command anew costs three imports of torch, transformers and TRL per run. So, on Linux, one process imports
them (`warm`), and each command is a fork of it (multiprocessing's fork server): as much its own process as before, and
nothing of one command is in the next. Where there is a GPU, whose driver does not survive a fork, or no Linux, each
command is a fresh interpreter.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from rlsd_cli.sweep.launcher import through_launcher
from rlsd_cli.sweep.placement import LAUNCHER

ACCELERATORS = ("nvidia0", "nvidiactl", "kfd", "accel", "dxg")  # in /dev


def forks() -> bool:
    """Tell whether commands are forked from a process that has imported the libraries."""
    return sys.platform == "linux" and not any(Path("/dev", name).exists() for name in ACCELERATORS)


def context() -> ForkServerContext | SpawnContext:
    """Return how processes are made, with one CPU thread each: runs side by side must not slow each other down."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of this process's children; the libraries read it when they are imported
    if not forks():
        return multiprocessing.get_context("spawn")
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["rlsd_cli.sweep.warm"])
    return made


def start(
    command: tuple[str, ...], log: Path, environment: Mapping[str, str], where: Path | None = None
) -> BaseProcess:
    """Start a command in a process of its own, its output appended to ``log``, in the directory ``where`` or here."""
    given = (command, str(log), dict(environment), str(where or Path.cwd()))
    process = context().Process(target=run, args=given, name=" ".join(command[:2]))
    process.start()
    return process


def run(command: tuple[str, ...], log: str, environment: Mapping[str, str], where: str) -> None:
    """Run a command as a shell would; in the child.

    Raises:
        SystemExit: With the command's exit code.
    """
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    os.setpgrp()  # Ctrl-C goes to the sweep, which asks its runs to leave, once
    os.environ.update(environment)
    os.chdir(where)
    threading.Thread(target=leave_with_parent, daemon=True).start()
    if command[: len(LAUNCHER)] == LAUNCHER:
        raise SystemExit(through_launcher(command[len(LAUNCHER) :]))
    sys.argv = list(command)
    try:
        runpy.run_module("rlsd_cli", run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out, and services such as wandb send their rest then


def leave_with_parent() -> None:
    """Wait until the sweep is gone, then ask this process to leave: `rlsd train` saves a checkpoint on SIGTERM.

    A sweep that is killed outright can't stop its runs, and a second sweep must not find them still writing.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
