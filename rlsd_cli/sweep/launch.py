"""Runs a plan on this machine: a queue over a fixed number of processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from rlsd_cli.runs.directory import RunDir
from rlsd_cli.runs.lock import busy
from rlsd_cli.sweep.child import start
from rlsd_cli.sweep.plan import PlannedRun, missing

POLL_S = 0.5


@dataclass
class Job:
    """A run in the queue."""

    run: PlannedRun
    commands: list[tuple[str, ...]]
    command: tuple[str, ...] = ()
    state: str = "waiting"
    process: BaseProcess | None = None
    started: float = 0.0
    seconds: float = 0.0
    log: Path = field(default_factory=Path)
    gpus: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    offset: int = 0  # of the log, when the job was handed over
    lost: int = 0  # how often its process or machine was lost
    reason: str = ""  # why it failed, where its log does not say it


def jobs_of(runs: list[PlannedRun]) -> list[Job]:
    """Return a job per run, with only the commands that are still to be run."""
    jobs = [Job(run, missing(run)) for run in runs]
    for job in jobs:
        job.state = "waiting" if job.commands else "done before"
    return jobs


def launch(
    jobs: list[Job],
    parallel: int,
    on_change: Callable[[list[Job]], None] = lambda jobs: None,
    *,
    gpus: Sequence[str] = (),
    gpus_per_run: int | None = None,
    tries: int = 0,
) -> bool:
    """Run jobs, ``parallel`` at a time, in the order given. A failed job stops no other.

    Each command is a process of its own (`child`); the output of a job goes to a log beside its run directory. A run
    in which another process trains waits for that.

    Args:
        jobs: The queue.
        parallel: Runs at a time.
        on_change: Called with the queue at each look at it.
        gpus: The GPUs to share out, as CUDA_VISIBLE_DEVICES names them.
        gpus_per_run: GPUs of each run; 0: it shall see none; None: as it comes.
        tries: How often a command is started again that a signal has ended, such as that of a full memory.

    Returns:
        Whether all jobs ended well.
    """
    free = list(gpus)
    running: list[Job] = []
    try:
        while any(job.state == "waiting" for job in jobs) or running:
            for job in jobs:
                if job.state == "waiting" and len(running) < parallel and not busy(job.run.path):
                    job.gpus, free = free[: gpus_per_run or 0], free[gpus_per_run or 0 :]
                    if gpus_per_run is not None:
                        job.environment["CUDA_VISIBLE_DEVICES"] = ",".join(job.gpus)
                    _start_next(job)
                    running.append(job)
            for job in list(running):
                if job.process is not None and job.process.exitcode is not None:
                    _after(job, tries)
                    if job.state != "running":
                        running.remove(job)
                        free += job.gpus
            on_change(jobs)
            time.sleep(POLL_S)
    except BaseException:
        for job in running:
            if job.process is not None:
                job.process.terminate()  # `rlsd train` saves a checkpoint and leaves
        for job in running:
            if job.process is not None:
                job.process.join()
        raise
    return all(job.state in ("done", "done before") for job in jobs)


def log_of(job: Job) -> Path:
    """Return the file for a job's output, in a folder that is there."""
    path = job.run.path.parent / f"{job.run.path.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _start_next(job: Job) -> None:
    job.log = log_of(job)
    job.command = job.commands.pop(0)
    job.process = start(job.command, job.log, job.environment)
    job.started = job.started or time.monotonic()
    job.state = "running"


def _after(job: Job, tries: int) -> None:
    assert job.process is not None
    job.seconds = time.monotonic() - job.started
    code = job.process.exitcode
    if code is not None and code < 0 and job.lost < tries:
        job.lost += 1
        job.commands.insert(0, job.command)
        _start_next(job)
    elif code != 0:
        job.state = "failed"
    elif job.command == job.run.train and RunDir(job.run.path).status().get("state") != "complete":
        job.state = "stopped"  # by a signal: it has left a checkpoint, and there is nothing to evaluate yet
    elif job.commands:
        _start_next(job)
    else:
        job.state = "done"
