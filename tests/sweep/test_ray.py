"""A sweep on two Ray nodes of which one is lost: all runs complete, with the numbers of a sweep on this machine."""

import json
import os
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from processes import rlsd

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.results import evaluations
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.runs.lock import holder_of
from rlsd_cli.sweep.placement import Placement
from rlsd_cli.sweep.plan import plan, read_sweep

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests/support", "COLUMNS": "160", "OMP_NUM_THREADS": "1"}
HEAD = {"num_cpus": 1, "include_dashboard": False}
TRAIN = {"steps": 30, "prompts_per_step": 2, "group_size": 2, "save_every": 3, "threads": 1}
TRAIN |= {"max_completion_tokens": 12, "learning_rate": 1e-3}
PROBES = {"probe_every": 30, "probe_prompts": 2, "probe_group": 2}


@pytest.fixture
def sweep_file(tmp_path, tiny_model):
    content = {
        "output_dir": "runs",
        "seeds": [0, 1, 2],
        "samples": 1,
        "limit": 2,
        "set": {"train": TRAIN, "log": PROBES, "model": {"path": str(tiny_model)}},
        "runs": [{"method": "grpo"}, {"method": "rlsd"}],
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def results(run):
    """Everything that a run says but its times and places."""
    run = RunDir(run)
    lines = [{key: value for key, value in line.items() if not key.startswith("time/")} for line in run.metrics()]
    evaluated = [{key: value for key, value in each.summary.items() if key != "model"} for each in evaluations(run)]
    report = json.loads((run.leakage_dir / "report.json").read_text())
    return lines, evaluated, (report["n"], report["hits"], report["by_step"])


def started(build, tries=5):
    """Start a node; Ray gives it half a minute, which on a busy machine may not do."""
    for left in reversed(range(tries)):
        try:
            return build()
        except Exception as error:
            if "timed out during startup" not in str(error) or not left:
                raise


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_six_runs_on_two_nodes_survive_the_loss_of_one(sweep_file, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])  # the nodes' own environment
    monkeypatch.setenv("RAY_health_check_timeout_ms", "60000")  # slow is not lost
    monkeypatch.setenv("RAY_worker_niceness", "0")  # Ray's 15 starves beside other work on this machine
    cluster = started(lambda: Cluster(initialize_head=True, head_node_args=HEAD))
    other = started(lambda: cluster.add_node(num_cpus=1))
    try:
        words = ("sweep", sweep_file, "--engine", "ray", "--address", cluster.address, "--output-dir", "on-ray")
        sweep = rlsd(*words, cwd=tmp_path, env=ENVIRONMENT)
        runs = [each.path for each in plan(read_sweep(sweep_file), tmp_path / "on-ray")]
        raylet = other.all_processes["raylet"][0].process.pid

        def of_the_other_node():
            """The runs that are being trained there and have got somewhere."""
            there = {each.pid for each in psutil.Process(raylet).children(recursive=True)}
            return [
                run
                for run in runs
                if (holder := holder_of(run / ".lock")) is not None
                and holder.pid in there
                and (RunDir(run).status_file.is_file() and 4 <= RunDir(run).status()["step"] <= 20)
            ]

        lost = []

        def in_the_middle():
            lost[:] = of_the_other_node()
            return bool(lost)

        sweep.wait_for(in_the_middle)
        cluster.remove_node(other, allow_graceful=False)
        sweep.finish()
    finally:
        cluster.shutdown()
    assert sweep.returncode == 0, sweep.stdout + sweep.stderr
    print(sweep.stderr)
    assert f"{lost[0].parent.name} {lost[0].name.replace('-', ' ')}: lost, started again" in sweep.stderr
    attempts = json.loads(RunDir(lost[0]).provenance_file.read_text())["attempts"]
    assert len(attempts) == 2
    assert attempts[0]["from_step"] == 0
    assert attempts[1]["from_step"] >= 3, "it went on from a checkpoint"

    local = rlsd("sweep", sweep_file, "--jobs", "1", cwd=tmp_path, env=ENVIRONMENT).finish()
    assert local.returncode == 0, local.stderr
    for run in runs:
        assert RunDir(run).status()["state"] == "complete"
        assert results(run) == results(tmp_path / "runs" / run.relative_to(tmp_path / "on-ray"))


@pytest.mark.slow
def test_a_cluster_that_can_not_hold_a_run_or_does_not_answer_is_one_sentence():
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    from rlsd_cli.sweep.ray_cluster import connect, launch_on_ray

    with pytest.raises(UserError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
        connect("127.0.0.1:1")
    cluster = started(lambda: Cluster(initialize_head=True, head_node_args=HEAD))
    try:
        for placement, words in ((Placement(gpus=1), "1 GPUs and the largest"), (Placement(processes=2), "2 CPUs")):
            with pytest.raises(UserError, match=words):
                launch_on_ray([], placement, cluster.address, None)
    finally:
        cluster.shutdown()


def test_without_ray_the_sweep_says_what_to_install(monkeypatch):
    from rlsd_cli.sweep.ray_cluster import connect

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'rlsd-cli\[ray\]'"):
        connect(None)
