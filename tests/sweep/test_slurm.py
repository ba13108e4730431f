"""The array script: bash and shellcheck read it, a task of it runs here, and signals do what Slurm means by them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rlsd_cli.errors import UserError
from rlsd_cli.sweep.launch import Job, jobs_of
from rlsd_cli.sweep.placement import Placement
from rlsd_cli.sweep.plan import PlannedRun, plan, read_sweep
from rlsd_cli.sweep.slurm import array_script

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A directory with blanks and a percent sign, and a function that writes a script of a sweep there."""
    here = tmp_path / "my sweeps 100%"
    here.mkdir()
    monkeypatch.chdir(here)

    def write(placement, at_once=None):
        runs = [{"method": "grpo", "label": "it's; a $(label)"}, {"method": "sft"}]
        content = {"output_dir": "runs", "seeds": [0, 1], "runs": runs}
        Path("sweep.yaml").write_text(yaml.safe_dump(content))
        jobs = jobs_of([placement.placed(run) for run in plan(read_sweep(Path("sweep.yaml")))])
        path = tmp_path / "array.sh"
        path.write_text(array_script(jobs, placement, "a sweep", here / "runs", at_once))
        return path

    return write


def options(path):
    lines = [line.removeprefix("#SBATCH --") for line in path.read_text().splitlines() if line.startswith("#SBATCH")]
    return dict(line.split("=", 1) if "=" in line else (line, "") for line in lines)


def test_bash_and_shellcheck_find_nothing_wrong(made):
    for placement in (Placement(), Placement(gpus=2, processes=2, tries=0)):
        path = made(placement)
        assert subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=True).stderr == ""
        if checker := shutil.which("shellcheck", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath])):
            assert subprocess.run([checker, path], capture_output=True, text=True, check=False).stdout == ""


def test_a_task_per_run_with_its_gpus_and_tries(made, tmp_path):
    path = made(Placement(gpus=2, processes=2, tries=5), at_once=3)
    assert options(path) == {
        "job-name": "a_sweep",
        "array": "0-3%3",
        "nodes": "1",
        "ntasks": "1",
        "cpus-per-task": "2",
        "gpus-per-node": "2",
        "chdir": f'"{tmp_path}/my sweeps 100%"',
        "output": f'"{tmp_path}/my sweeps 100%%/runs/slurm-%A_%a.log"',
        "open-mode": "append",
        "requeue": "",
        "signal": "B:USR1@300",
    }
    assert (tmp_path / "my sweeps 100%/runs").is_dir()
    assert path.read_text().count("rlsd_cli.sweep.launcher") == 4
    assert "gpus-per-node" not in options(made(Placement()))


def test_a_directory_that_slurm_can_not_be_told_of_is_refused():
    with pytest.raises(UserError, match="without quotes"):
        array_script([], Placement(), "x", Path('/a "b"'), None)


def script_of(tmp_path, *codes, tries=2):
    """A script with one task, whose steps are lines of Python."""
    run = PlannedRun(config=None, path=tmp_path / "x" / "seed-0", train=("t",), evaluate=(), audit=())
    path = tmp_path / "array.sh"

    class Named(Job):
        """A job whose name needs no configuration."""

    job = Named(run, [("python", code) for code in codes])
    object.__setattr__(run, "config", type("Config", (), {"name": "x", "seed": 0}))
    path.write_text(array_script([job], Placement(tries=tries), "x", tmp_path, None))
    return path


@pytest.fixture
def python_for_rlsd(monkeypatch):
    monkeypatch.setattr("rlsd_cli.sweep.slurm.executable", lambda command: (sys.executable, "-c", command[-1]))


def run(path, **environment):
    numbers = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "77", **environment}
    return subprocess.run(["bash", path], env={**os.environ, **numbers}, capture_output=True, text=True, check=False)


def test_a_task_runs_its_commands_up_to_the_first_that_fails(tmp_path, python_for_rlsd):
    path = script_of(tmp_path, "print('one')", "raise SystemExit(3)", "print('three')")
    done = run(path)
    assert (done.returncode, done.stdout) == (3, "one\n")
    assert run(path, SLURM_ARRAY_TASK_ID="1").returncode == 2
    lost = run(path, SLURM_RESTART_COUNT="3")
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "lost more than 2 times" in lost.stderr
    assert run(path, SLURM_RESTART_COUNT="2").stdout == "one\n"


@pytest.mark.parametrize(("number", "requeued"), [(signal.SIGTERM, False), (signal.SIGUSR1, True)])
def test_a_signal_lets_the_command_end_starts_no_other_and_near_the_limit_asks_for_another_turn(
    tmp_path, python_for_rlsd, number, requeued
):
    train = (
        "import pathlib, signal, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "def leave(*_):\n"
        "    time.sleep(0.2)\n"
        "    (here / 'saved').touch()\n"
        "    raise SystemExit(0)\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "(here / 'ready').touch()\n"
        "while True: time.sleep(0.05)\n"
    )
    path = script_of(tmp_path, train, f"open({str(tmp_path / 'evaluated')!r}, 'w')")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    (tools / "scontrol").chmod(0o755)
    numbers = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "77", "PATH": f"{tools}:{os.environ['PATH']}"}
    process = subprocess.Popen(["bash", path], env={**os.environ, **numbers})
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait() == 143
    assert (tmp_path / "saved").exists(), "it was waited for"
    assert not (tmp_path / "evaluated").exists()
    assert (tmp_path / "asked").exists() == requeued
    if requeued:
        assert (tmp_path / "asked").read_text() == "requeue 77_0\n"


@pytest.mark.timeout(0)
def test_one_task_of_a_real_sweep_runs_here(tmp_path, tiny_model):
    from processes import Command

    train = {"steps": 1, "prompts_per_step": 2, "group_size": 2, "max_completion_tokens": 4, "threads": 1}
    settings = {"train": train, "model": {"path": str(tiny_model)}, "log": {"probe_prompts": 2, "probe_group": 2}}
    content = {"output_dir": "my runs", "seeds": [0, 1], "samples": 1, "limit": 2, "runs": [{"method": "grpo"}]}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({**content, "set": settings}))
    words = ["sweep", "sweep.yaml", "--engine", "slurm", "--dry-run"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = Command([sys.executable, "-m", "rlsd_cli", *words], tmp_path, env).finish()
    assert made.returncode == 0, made.stderr
    (tmp_path / "array.sh").write_text(made.stdout)
    task = Command(["bash", "array.sh"], tmp_path, {**env, "SLURM_ARRAY_TASK_ID": "1"}).finish()
    assert task.returncode == 0, task.stdout + task.stderr
    assert (tmp_path / "my runs/grpo/seed-1/leakage/report.json").is_file()
    assert not (tmp_path / "my runs/grpo/seed-0").exists()
