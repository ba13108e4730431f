"""The commands in a row, as processes: a small sweep, a picture, a killed run, an interrupted run."""

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
from rlsd_cli.tasks.arithmetic import SUITES

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
SMALL = {"steps": 8, "prompts_per_step": 2, "group_size": 4, "save_every": 2, "threads": 1}
PROBES = {"probe_every": 4, "probe_prompts": 2, "probe_group": 2}


def rlsd(*arguments, cwd):
    command = [sys.executable, "-m", "rlsd_cli", *arguments]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def start_training(path, cwd, *extra):
    sets = [f"train.{key}={value}" for key, value in SMALL.items()] + [f"log.{k}={v}" for k, v in PROBES.items()]
    words = [word for text in sets for word in ("--set", text)]
    return subprocess.Popen(
        [sys.executable, "-m", "rlsd_cli", "train", "--method", "rlsd", *words, "--output-dir", str(path), *extra],
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def without_times(path):
    return [{k: v for k, v in record.items() if not k.startswith("time/")} for record in RunDir(path).metrics()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    process = start_training(folder / "run", folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output.decode()
    return folder / "run"


def test_a_sweep_trains_evaluates_audits_and_is_drawn(tmp_path):
    sweep = {
        "output_dir": "runs",
        "seeds": [0],
        "samples": 1,
        "limit": 20,
        "set": {"train": SMALL, "log": PROBES},
        "runs": [{"method": "grpo"}, {"method": "opsd"}, {"method": "rlsd"}],
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    swept = rlsd("sweep", "sweep.yaml", "--jobs", "2", cwd=tmp_path)
    assert swept.returncode == 0, swept.stderr
    for method in ("grpo", "opsd", "rlsd"):
        run = RunDir.open(tmp_path / "runs" / method / "seed-0")
        assert run.status()["state"] == "complete"
        assert len(run.metrics()) == 8
        assert {path.stem for path in run.eval_dir.glob("samples-1,limit-20/*.json")} == set(SUITES)
        assert json.loads((run.leakage_dir / "report.json").read_text())["n"] == 64
    again = rlsd("sweep", "sweep.yaml", cwd=tmp_path)
    assert "0 to do" in again.stderr
    assert rlsd("sweep", "sweep.yaml", "--dry-run", cwd=tmp_path).stdout == ""

    drawn = rlsd("plot", "runs", "--output-dir", "results", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    pictures = list((tmp_path / "results").rglob("overview.png"))
    assert len(pictures) == 1
    assert pictures[0].stat().st_size > 10_000
    for method in ("GRPO", "OPSD", "RLSD"):
        assert method in drawn.stdout + drawn.stderr


def test_a_killed_run_resumes_to_the_same_metrics(whole, tmp_path):
    path = tmp_path / "run"
    process = start_training(path, tmp_path)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if (path / "metrics.jsonl").is_file() and (path / "metrics.jsonl").read_text().count("\n") >= 5:
            break
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert RunDir(path).status()["state"] == "running"
    resumed = start_training(path, tmp_path, "--resume")
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output.decode()
    assert without_times(path) == without_times(whole)
    attempts = json.loads(RunDir(path).provenance_file.read_text())["attempts"]
    assert attempts[0]["from_step"] == 0
    assert attempts[1]["from_step"] in (2, 4, 6)


def test_an_interrupted_run_saves_leaves_and_resumes(whole, tmp_path):
    path = tmp_path / "run"
    process = start_training(path, tmp_path)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not (path / "metrics.jsonl").is_file():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output.decode()
    status = RunDir(path).status()
    assert status["state"] == "interrupted"
    assert f"stopped after step {status['step']}" in output.decode()
    resumed = start_training(path, tmp_path, "--resume")
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output.decode()
    assert without_times(path) == without_times(whole)
