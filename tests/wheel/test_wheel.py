"""The built wheel in a clean environment, far from any checkout: it trains, evaluates and audits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(command: list[str], cwd: Path, **environment: str) -> str:
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    made = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, check=False)
    assert made.returncode == 0, f"{' '.join(command)}\n{made.stdout}\n{made.stderr}"
    return made.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_installed_wheel_trains_evaluates_and_audits_outside_any_checkout(tmp_path):
    wheels, venv, work = tmp_path / "wheels", tmp_path / "venv", tmp_path / "work"
    work.mkdir()
    run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)], tmp_path)
    (wheel,) = wheels.glob("*.whl")
    run([sys.executable, "-m", "venv", str(venv)], tmp_path)
    python = str(venv / "bin" / "python")
    pinned = ["--constraint", str(ROOT / "constraints.txt")]
    run([python, "-m", "pip", "install", "--quiet", *pinned, "torch"], tmp_path)
    run([python, "-m", "pip", "install", "--quiet", *pinned, str(wheel)], tmp_path)
    rlsd = str(venv / "bin" / "rlsd")
    small = ["--set", "train.steps=2", "--set", "train.prompts_per_step=2", "--set", "train.group_size=4"]
    run([rlsd, "train", "--method", "rlsd", *small, "--output-dir", "run"], work, HF_HUB_OFFLINE="1")
    run([rlsd, "eval", "run", "--limit", "4"], work, HF_HUB_OFFLINE="1")
    run([rlsd, "leakage-audit", "run"], work, HF_HUB_OFFLINE="1")
    assert json.loads((work / "run" / "status.json").read_text())["state"] == "complete"
    assert json.loads((work / "run" / "leakage" / "report.json").read_text())["n"] == 16
    unwanted = run([python, "-c", "import importlib.util as u; print(u.find_spec('scripts'))"], work)
    assert unwanted.strip() == "None", "developer's tools are in the wheel"
