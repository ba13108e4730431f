"""A sweep as a Slurm array: one task per run, in a script that `sbatch` takes as it is."""

from __future__ import annotations

import shlex
from pathlib import Path

from rlsd_cli.errors import UserError
from rlsd_cli.sweep.launch import Job
from rlsd_cli.sweep.placement import Placement, executable

WARNED_S = 300  # before the time limit: a step, and a checkpoint of a large model

# `wait` returns when a signal comes; so it is called until the command has ended by itself.
BODY = """
# shellcheck disable=SC2016 # words are to come as they are
set -u
if [ "${{SLURM_RESTART_COUNT:-0}}" -gt {tries} ]; then
  echo "rlsd sweep: this run was lost more than {tries} times; its log says why" >&2
  exit 1
fi

stopped=
again=
pid=
leave() {{
  stopped=yes
  [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null
}}
trap leave TERM
trap 'again=yes; leave' USR1 # the time limit is near: train goes on from its checkpoint in a new task

step() {{
  "$@" &
  pid=$!
  code=0
  wait "$pid" || code=$?
  while kill -0 "$pid" 2>/dev/null; do
    code=0
    wait "$pid" || code=$?
  done
  pid=
  if [ -n "$again" ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
  fi
  if [ -n "$stopped" ]; then
    exit 143
  fi
  return "$code"
}}

case "${{SLURM_ARRAY_TASK_ID:?is set by sbatch --array}}" in
{cases}
*)
  echo "rlsd sweep: this array has the tasks 0 to {last}, and no $SLURM_ARRAY_TASK_ID" >&2
  exit 2
  ;;
esac
"""


def array_script(jobs: list[Job], placement: Placement, name: str, directory: Path, at_once: int | None) -> str:
    """Return the script; run directories and the interpreter stand in it with their whole paths.

    Args:
        jobs: Those that have something to do.
        placement: GPUs, processes and tries of each.
        name: Of the array.
        directory: The sweep's: the tasks' own output goes there.
        at_once: Tasks at a time; None: as many as the cluster likes.

    Raises:
        UserError: A directory's name can't stand in a line of #SBATCH.
    """
    here = Path.cwd()
    for path in (here, directory):
        if any(character in '"\\' or not character.isprintable() for character in str(path)):
            raise UserError(
                f"Slurm can't be told of the directory {str(path)!r}: use one without quotes or backslashes."
            )
    directory.mkdir(parents=True, exist_ok=True)  # Slurm makes no folders for output
    options = [
        ("job-name", "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)),
        ("array", f"0-{len(jobs) - 1}" + (f"%{at_once}" if at_once else "")),
        ("nodes", "1"),
        ("ntasks", "1"),
        ("cpus-per-task", str(placement.processes)),
        *([("gpus-per-node", str(placement.gpus))] if placement.gpus else []),
        ("chdir", f'"{here}"'),
        ("output", f'"{str(directory).replace("%", "%%")}/slurm-%A_%a.log"'),
        ("open-mode", "append"),
        ("requeue", ""),
        ("signal", f"B:USR1@{WARNED_S}"),
    ]
    lines = [f"#SBATCH --{key}={value}" if value else f"#SBATCH --{key}" for key, value in options]
    body = BODY.format(tries=placement.tries, last=len(jobs) - 1, cases="\n".join(map(_case, range(len(jobs)), jobs)))
    title = f"# {len(jobs)} runs; time, partition and memory are yours to give: sbatch --time=… --partition=… THIS_FILE"
    return "\n".join(["#!/bin/bash", *lines, title]) + body


def _case(index: int, job: Job) -> str:
    steps = [f"step {shlex.join(executable(command))}" for command in job.commands]
    return f"{index}) # {_harmless(job.run.name)}\n  " + " &&\n    ".join(steps) + "\n  ;;"


def _harmless(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
