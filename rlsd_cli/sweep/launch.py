"""Runs a plan on this machine: a queue over a fixed number of processes."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from rlsd_cli.runs.directory import RunDir
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


def jobs_of(runs: list[PlannedRun]) -> list[Job]:
    """Return a job per run, with only the commands that are still to be run."""
    jobs = [Job(run, missing(run)) for run in runs]
    for job in jobs:
        job.state = "waiting" if job.commands else "done before"
    return jobs


def busy(path: Path) -> bool:
    """Tell whether a process trains in a run directory, such as one that a killed sweep has left behind."""
    try:
        with open(path / ".lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def launch(jobs: list[Job], parallel: int, on_change: Callable[[list[Job]], None] = lambda jobs: None) -> bool:
    """Run jobs, ``parallel`` at a time, in the order given. A failed job stops no other.

    Each command is a process of its own (`child`); the output of a job goes to a log beside its run directory. A run
    in which another process trains waits for that.

    Returns:
        Whether all jobs ended well.
    """
    running: list[Job] = []
    try:
        while any(job.state == "waiting" for job in jobs) or running:
            for job in jobs:
                if job.state == "waiting" and len(running) < parallel and not busy(job.run.path):
                    _start_next(job)
                    running.append(job)
            for job in list(running):
                if job.process is not None and job.process.exitcode is not None:
                    _after(job)
                    if job.state != "running":
                        running.remove(job)
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


def _start_next(job: Job) -> None:
    job.log = job.run.path.parent / f"{job.run.path.name}.log"
    job.log.parent.mkdir(parents=True, exist_ok=True)
    job.command = job.commands.pop(0)
    job.process = start(job.command, job.log)
    job.started = job.started or time.monotonic()
    job.state = "running"


def _after(job: Job) -> None:
    assert job.process is not None
    job.seconds = time.monotonic() - job.started
    if job.process.exitcode != 0:
        job.state = "failed"
    elif job.command == job.run.train and RunDir(job.run.path).status().get("state") != "complete":
        job.state = "stopped"  # by a signal: it has left a checkpoint, and there is nothing to evaluate yet
    elif job.commands:
        _start_next(job)
    else:
        job.state = "done"
