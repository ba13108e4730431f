"""Runs a plan on a Ray cluster: a task per run, which Ray starts again elsewhere if its machine is lost."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.runs.lock import busy
from rlsd_cli.sweep.child import start
from rlsd_cli.sweep.launch import POLL_S, Job, log_of
from rlsd_cli.sweep.placement import Placement

MARK = "rlsd sweep: on "  # a task's first line in its log, at each try
# Of the sweep's environment, what a run reads: a node's own holds for the rest, its secrets included.
PASSED = ("RLSD_", "HF_HUB_OFFLINE", "HF_HOME", "PYTHONPATH", "OMP_NUM_THREADS")
WAIT_S = 1.0


def run_commands(
    path: str, log: str, commands: list[tuple[str, ...]], training: tuple[str, ...], where: str, environment: Any
) -> str:
    """Run the commands of a run one after the other; in a task.

    Args:
        path: The run directory.
        log: The file for their output.
        commands: What is to be done.
        training: That of them which may leave the run unfinished, with exit code 0.
        where: The directory that they start in.
        environment: Added to the node's.

    Returns:
        ``done``, ``stopped``, or why it failed.
    """
    if not Path(where).is_dir():
        return f"{where} is not on {socket.gethostname()}: a sweep's directory must be on a file system of all nodes"
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{MARK}{socket.gethostname()}\n")
    while busy(Path(path)):  # what the lost node has left behind is still leaving
        time.sleep(WAIT_S)
    os.environ.update(environment)
    for command in commands:
        process = start(command, Path(log), {}, Path(where))  # it leaves when this worker is gone, however that ends
        try:
            process.join()
        except BaseException:  # cancelled: `rlsd train` saves a checkpoint and leaves
            process.terminate()
            process.join()
            raise
        if process.exitcode:
            return f"{' '.join(command[:2])} ended with exit code {process.exitcode}"
        if command == training and RunDir(path).status().get("state") != "complete":
            return "stopped"
    return "done"


def connect(address: str | None) -> Any:
    """Join a Ray cluster and return the module.

    Raises:
        UserError: Ray is missing, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs the package ray: pip install 'rlsd-cli[ray]'.") from None
    asked = address or os.environ.get("RAY_ADDRESS") or "auto"
    try:
        knock(asked)
        ray.init(address=asked, log_to_driver=False, logging_level="ERROR", configure_logging=True)
    except (ConnectionError, RuntimeError, ValueError, OSError, AssertionError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(
            f"no Ray cluster answers at '{asked}' ({why}): start one with `ray start --head`, or give its --address."
        ) from None
    return ray


def knock(address: str) -> None:
    """Raise an OSError if nobody answers at ``host:port``: Ray would take a minute, and many words, to say so."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


def check_room(nodes: list[dict[str, Any]], placement: Placement) -> None:
    """Check that some node can hold a run.

    Raises:
        UserError: None can: the sweep would wait for ever.
    """
    rooms = [node["Resources"] for node in nodes if node["Alive"]]
    for kind, wanted in (("GPU", placement.gpus or 0), ("CPU", placement.processes)):
        most = max((room.get(kind, 0) for room in rooms), default=0)
        if wanted > most:
            raise UserError(f"a run is to have {wanted} {kind}s and the largest node of the cluster has {most:g}.")


def launch_on_ray(
    jobs: list[Job],
    placement: Placement,
    address: str | None,
    at_once: int | None,
    on_change: Callable[[list[Job]], None] = lambda jobs: None,
) -> bool:
    """Run jobs on a cluster, as many at a time as it holds, or ``at_once``. A failed job stops no other.

    Returns:
        Whether all jobs ended well.

    Raises:
        UserError: Ray is missing, no cluster answers, or none of its nodes can hold a run.
    """
    ray = connect(address)
    try:
        check_room(ray.nodes(), placement)
        wanted = {"num_cpus": placement.processes, "num_gpus": placement.gpus or 0, "max_retries": placement.tries}
        task = ray.remote(**wanted, scheduling_strategy="SPREAD")(run_commands)
        environment = {key: value for key, value in os.environ.items() if key.startswith(PASSED)}
        pending: dict[Any, Job] = {}
        try:
            while any(job.state == "waiting" for job in jobs) or pending:
                for job in [each for each in jobs if each.state == "waiting"]:
                    if at_once is None or len(pending) < at_once:
                        pending[submit(task, job, environment)] = job
                ready, _ = ray.wait(list(pending), timeout=POLL_S)
                for done in ready:
                    settle(ray, done, pending.pop(done))
                for job in pending.values():
                    look(job)
                on_change(jobs)
        except BaseException:
            for each in pending:
                ray.cancel(each)
            ray.wait(list(pending), num_returns=len(pending))
            raise
    finally:
        ray.shutdown()
    return all(job.state in ("done", "done before") for job in jobs)


def submit(task: Any, job: Job, environment: dict[str, str]) -> Any:
    """Hand a job to the cluster and return Ray's reference to its end."""
    job.log = log_of(job)
    job.offset = job.log.stat().st_size if job.log.is_file() else 0
    job.state = "queued"
    where = os.getcwd()
    return task.options(name=job.run.name).remote(
        str(job.run.path), str(job.log), job.commands, job.run.train, where, environment
    )


def look(job: Job) -> None:
    """Read from a job's log whether it runs, where, and how often it was lost."""
    if not job.log.is_file():
        return
    with open(job.log, encoding="utf-8", errors="replace") as file:
        file.seek(job.offset)
        tries = [line for line in file if line.startswith(MARK)]
    if tries:
        job.started = job.started or time.monotonic()
        job.state, job.lost = "running", len(tries) - 1


def settle(ray: Any, done: Any, job: Job) -> None:
    """Take down how a job has ended."""
    look(job)
    job.seconds = time.monotonic() - job.started if job.started else 0.0
    try:
        said = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        said = " ".join(str(error.cause if error.cause is not None else error).split())[:300]
    except ray.exceptions.RayError as error:
        said = f"its node was lost once too often ({type(error).__name__})"
    job.state = said if said in ("done", "stopped") else "failed"
    job.reason = said if job.state == "failed" else ""
