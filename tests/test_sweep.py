"""Sweeps: the plan, what is done already, and that one failure stops no other run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rlsd_cli import config as configuration
from rlsd_cli.artifacts import RunDir, write_json, write_text
from rlsd_cli.errors import UserError
from rlsd_cli.sweep.launch import Job, jobs_of, launch
from rlsd_cli.sweep.plan import PlannedRun, plan, read_sweep, state_of

ROOT = Path(__file__).parents[1]
SWEEPS = sorted((ROOT / "experiments").glob("*/*.yaml"))
SWEEPS = [path for path in SWEEPS if "runs:" in path.read_text()]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_file_makes_a_plan(path):
    sweep = read_sweep(path)
    runs = plan(sweep)
    assert len(runs) == len(sweep.runs) * len(sweep.seeds)
    assert len({run.path for run in runs}) == len(runs)
    budgets = {(run.config.train.steps, run.config.train.prompts_per_step, run.config.train.group_size) for run in runs}
    assert len(budgets) == 1, "a comparison has one budget"


def test_the_printed_command_builds_the_planned_configuration():
    run = plan(read_sweep(ROOT / "experiments/micro/paper.yaml"))[-1]
    words = list(run.train)
    sets = [configuration.parse_assignment(words[i + 1]) for i, word in enumerate(words) if word == "--set"]
    flags = {"method": words[words.index("--method") + 1], "seed": int(words[words.index("--seed") + 1])}
    preset = configuration.read_yaml(configuration.preset_file("micro", flags["method"]))
    assert configuration.build([preset, flags, *sets]) == run.config


def sweep_file(tmp_path, **changes):
    content = {"output_dir": str(tmp_path / "runs"), "seeds": [0], "runs": [{"method": "grpo"}], **changes}
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": [0]}, "'seed'"),
        ({"seeds": []}, "'seeds'"),
        ({"runs": [{"method": "grpo"}, {"method": "grpo"}]}, "called 'grpo'"),
        ({"runs": [{"method": "grop"}]}, "did you mean 'grpo'"),
        ({"set": {"train": {"stps": 3}}}, "train.stps"),
    ],
)
def test_a_mistake_in_a_sweep_file_is_one_sentence(tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        plan(read_sweep(sweep_file(tmp_path, **changes)))


def test_only_what_is_missing_is_run(tmp_path):
    (run,) = plan(read_sweep(sweep_file(tmp_path)))
    assert state_of(run, 4) == "missing"
    directory = RunDir(run.path)
    write_text(directory.config_file, configuration.dump(run.config))
    directory.write_status(state="running")
    assert state_of(run, 4) == "missing"
    directory.write_status(state="complete")
    assert state_of(run, 4) == "trained"
    write_json(directory.eval_dir / "chain.json", {"samples": 4})
    write_json(directory.leakage_dir / "report.json", {})
    assert state_of(run, 4) == "complete"
    assert state_of(run, 8) == "trained"
    assert jobs_of([run], 4)[0].commands == []


def test_a_directory_with_another_configuration_is_refused(tmp_path):
    (run,) = plan(read_sweep(sweep_file(tmp_path)))
    write_text(RunDir(run.path).config_file, "method: opsd\n")
    with pytest.raises(UserError, match="another configuration"):
        state_of(run, 4)


def job(tmp_path, name, *codes):
    """A job whose commands are Python one-liners (`rlsd` is replaced by the interpreter's -c)."""
    run = PlannedRun(config=None, path=tmp_path / name / "seed-0", train=(), evaluate=(), audit=())
    return Job(run, [("rlsd", code) for code in codes])


@pytest.fixture
def python_for_rlsd(monkeypatch):
    original = subprocess.Popen

    def popen(command, **options):
        return original([sys.executable, "-c", command[-1]], **options)

    monkeypatch.setattr("rlsd_cli.sweep.launch.subprocess.Popen", popen)
    monkeypatch.setattr("rlsd_cli.sweep.launch.POLL_S", 0.02)
    monkeypatch.setattr(PlannedRun, "name", property(lambda self: self.path.parent.name))


def test_jobs_run_in_order_and_a_failed_one_stops_no_other(tmp_path, python_for_rlsd):
    touch = "open({!r}, 'a').write('x')"
    files = [str(tmp_path / f"{name}.txt") for name in "abc"]
    jobs = [
        job(tmp_path, "a", touch.format(files[0]), touch.format(files[0])),
        job(tmp_path, "b", "raise SystemExit(3)", touch.format(files[1])),
        job(tmp_path, "c", touch.format(files[2])),
    ]
    assert not launch(jobs, parallel=2)
    assert [entry.state for entry in jobs] == ["done", "failed", "done"]
    assert Path(files[0]).read_text() == "xx"
    assert not os.path.exists(files[1])
    assert Path(files[2]).read_text() == "x"


def test_never_more_jobs_at_a_time_than_asked(tmp_path, python_for_rlsd):
    jobs = [job(tmp_path, str(i), "import time; time.sleep(0.15)") for i in range(5)]
    running = []
    assert launch(jobs, parallel=2, on_change=lambda state: running.append(sum(j.state == "running" for j in state)))
    assert max(running) == 2
