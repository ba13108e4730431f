"""A sweep killed outright: its runs end with it, and started again it repeats no finished run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from rlsd_cli.runs.directory import RunDir
from rlsd_cli.sweep.launch import busy

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
TRAIN = {"prompts_per_step": 2, "group_size": 4, "save_every": 2, "threads": 1}
PROBES = {"probe_every": 20, "probe_prompts": 2, "probe_group": 2}
PATIENCE_S = 240


def start(cwd):
    command = [sys.executable, "-m", "rlsd_cli", "sweep", "sweep.yaml", "--jobs", "2"]
    return subprocess.Popen(
        command, cwd=cwd, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, cwd):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, [path.read_text()[-1000:] for path in cwd.glob("runs/*/*.log")]
        time.sleep(0.05)


def steps(run):
    return run.metrics_file.read_text().count("\n") if run.metrics_file.is_file() else 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_killed_sweep_leaves_no_process_and_repeats_no_finished_run(tmp_path):
    sweep = {
        "output_dir": "runs",
        "seeds": [0],
        "samples": 1,
        "limit": 5,
        "set": {"train": TRAIN, "log": PROBES},
        "runs": [
            {"method": "grpo", "set": {"train": {"steps": 2}}},
            {"method": "rlsd", "set": {"train": {"steps": 400}}},
        ],
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    short, long = (RunDir(tmp_path / "runs" / name / "seed-0") for name in ("grpo", "rlsd"))
    killed = start(tmp_path)
    wait_for(lambda: (short.leakage_dir / "report.json").is_file() and steps(long) >= 3, tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    wait_for(lambda: not busy(long.path), tmp_path)
    assert long.status()["state"] == "interrupted"
    reached = long.status()["step"]
    assert 3 <= reached < 400
    finished = {path: path.stat().st_mtime_ns for path in short.path.rglob("*") if path.is_file()}

    # What is left of the long run is not what is tested: half a minute is saved by ending it early.
    again = start(tmp_path)
    wait_for(lambda: steps(long) > reached, tmp_path)
    again.send_signal(signal.SIGINT)
    _, said = again.communicate(timeout=PATIENCE_S)
    assert "2 runs, 1 to do" in said
    assert again.returncode == 130
    assert {path: path.stat().st_mtime_ns for path in short.path.rglob("*") if path.is_file()} == finished
    attempts = json.loads(long.provenance_file.read_text())["attempts"]
    assert [each["from_step"] for each in attempts] == [0, reached]
    assert not busy(long.path)
