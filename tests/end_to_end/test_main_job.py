"""The commands in a row, as processes: a small sweep, a picture, a killed run, an interrupted run."""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml
from processes import rlsd

from rlsd_cli.runs.directory import RunDir
from rlsd_cli.tasks.arithmetic import suite_specs

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
SMALL = {"steps": 8, "prompts_per_step": 2, "group_size": 4, "save_every": 2, "threads": 1}
PROBES = {"probe_every": 4, "probe_prompts": 2, "probe_group": 2}


pytestmark = pytest.mark.timeout(0)  # processes are waited for by their progress


def run_rlsd(*arguments, cwd):
    return rlsd(*arguments, cwd=cwd, env=ENVIRONMENT).finish()


def start_training(path, cwd, *extra):
    sets = [f"train.{key}={value}" for key, value in SMALL.items()] + [f"log.{k}={v}" for k, v in PROBES.items()]
    words = [word for text in sets for word in ("--set", text)]
    return rlsd("train", "--method", "rlsd", *words, "--output-dir", path, *extra, cwd=cwd, env=ENVIRONMENT)


def lines(path):
    return (path / "metrics.jsonl").read_text().count("\n") if (path / "metrics.jsonl").is_file() else 0


def without_times(path):
    return [{k: v for k, v in record.items() if not k.startswith("time/")} for record in RunDir(path).metrics()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    process = start_training(folder / "run", folder).finish()
    assert process.returncode == 0, process.stdout
    return folder / "run"


def test_a_sweep_trains_evaluates_audits_and_is_drawn(whole, tmp_path):
    sweep = {
        "output_dir": "runs",
        "seeds": [0],
        "samples": 1,
        "limit": 20,
        "set": {"train": SMALL, "log": PROBES},
        "runs": [{"method": "grpo"}, {"method": "opsd"}, {"method": "rlsd"}],
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    swept = run_rlsd("sweep", "sweep.yaml", "--jobs", "2", cwd=tmp_path)
    assert swept.returncode == 0, swept.stderr
    for method in ("grpo", "opsd", "rlsd"):
        run = RunDir.open(tmp_path / "runs" / method / "seed-0")
        assert run.status()["state"] == "complete"
        assert len(run.metrics()) == 8
        assert {path.stem for path in run.eval_dir.glob("*.json")} == set(suite_specs(4))
        assert json.loads((run.leakage_dir / "report.json").read_text())["n"] == 64
    # Forked from a process that has the libraries already, a run is to the bit what `rlsd train` alone makes.
    swept_run = tmp_path / "runs" / "rlsd" / "seed-0"
    assert without_times(swept_run) == without_times(whole)
    for name in ("model/model.safetensors", "completions/step-000008.parquet"):
        assert (swept_run / name).read_bytes() == (whole / name).read_bytes()
    again = run_rlsd("sweep", "sweep.yaml", cwd=tmp_path)
    assert "0 to do" in again.stderr
    assert run_rlsd("sweep", "sweep.yaml", "--dry-run", cwd=tmp_path).stdout == ""

    drawn = run_rlsd("plot", "runs", "--output-dir", "results", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    pictures = list((tmp_path / "results").rglob("overview.png"))
    assert len(pictures) == 1
    assert pictures[0].stat().st_size > 10_000
    for method in ("GRPO", "OPSD", "RLSD"):
        assert method in drawn.stdout + drawn.stderr


def test_a_killed_run_resumes_to_the_same_metrics(whole, tmp_path):
    path = tmp_path / "run"
    process = start_training(path, tmp_path)
    process.wait_for(lambda: lines(path) >= 5)
    process.kill()
    assert RunDir(path).status()["state"] == "running"
    resumed = start_training(path, tmp_path, "--resume").finish()
    assert resumed.returncode == 0, resumed.stdout
    assert without_times(path) == without_times(whole)
    attempts = json.loads(RunDir(path).provenance_file.read_text())["attempts"]
    assert attempts[0]["from_step"] == 0
    assert attempts[1]["from_step"] in (2, 4, 6)


def test_an_interrupted_run_saves_leaves_and_resumes(whole, tmp_path):
    path = tmp_path / "run"
    process = start_training(path, tmp_path)
    process.wait_for(lambda: lines(path) >= 1)
    process.process.send_signal(signal.SIGINT)
    process.finish()
    assert process.returncode == 0, process.stdout
    status = RunDir(path).status()
    assert status["state"] == "interrupted"
    assert f"stopped after step {status['step']}" in process.stdout + process.stderr
    resumed = start_training(path, tmp_path, "--resume").finish()
    assert resumed.returncode == 0, resumed.stdout
    assert without_times(path) == without_times(whole)
