"""A sweep killed outright: its runs end with it, and started again it repeats no finished run."""

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from processes import rlsd

from rlsd_cli.runs.directory import RunDir
from rlsd_cli.sweep.launch import busy

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
TRAIN = {"prompts_per_step": 2, "group_size": 4, "save_every": 2, "threads": 1}
PROBES = {"probe_every": 20, "probe_prompts": 2, "probe_group": 2}


def start(cwd):
    return rlsd("sweep", "sweep.yaml", "--jobs", "2", cwd=cwd, env=ENVIRONMENT)


def steps(run):
    return run.metrics_file.read_text().count("\n") if run.metrics_file.is_file() else 0


@pytest.mark.timeout(0)
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
    killed.wait_for(lambda: (short.leakage_dir / "report.json").is_file() and steps(long) >= 3)
    runs = psutil.Process(killed.process.pid).children(recursive=True)
    killed.kill()
    for process in runs:
        process.wait()  # they end by themselves, however long that takes
    assert not busy(long.path)
    assert long.status()["state"] == "interrupted"
    reached = long.status()["step"]
    assert 3 <= reached < 400
    finished = {path: path.stat().st_mtime_ns for path in short.path.rglob("*") if path.is_file()}

    # What is left of the long run is not what is tested: half a minute is saved by ending it early.
    again = start(tmp_path)
    again.wait_for(lambda: steps(long) > reached)
    again.process.send_signal(signal.SIGINT)
    again.finish()
    assert "2 runs, 1 to do" in again.stderr
    assert again.returncode == 130
    assert {path: path.stat().st_mtime_ns for path in short.path.rglob("*") if path.is_file()} == finished
    attempts = json.loads(long.provenance_file.read_text())["attempts"]
    assert [each["from_step"] for each in attempts] == [0, reached]
    assert not busy(long.path)
