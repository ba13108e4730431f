"""What each run of a sweep gets, and what contradicts itself, is told before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import read_object
from rlsd_cli.sweep.placement import devices_of, executable, placement_of, visible_gpus
from rlsd_cli.sweep.plan import plan, read_sweep

ROOT = Path(__file__).parents[2]


def planned(tmp_path, **changes):
    content = {"output_dir": str(tmp_path / "runs"), "seeds": [0], "runs": [{"method": "grpo"}], **changes}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    return plan(read_sweep(tmp_path / "sweep.yaml"))


def test_several_processes_train_through_accelerate_and_evaluate_alone(tmp_path):
    (run,) = planned(tmp_path)
    placed = placement_of(None, 2, None, 0).placed(run)
    words = " ".join(placed.train)
    assert words.startswith("accelerate launch --multi_gpu ")
    assert "--num_processes 2 --main_process_port 0 -m rlsd_cli train --preset micro" in words
    assert words.endswith(f"--output-dir {run.path} --resume")
    assert (placed.evaluate, placed.audit) == (run.evaluate, run.audit)
    config = ROOT / "experiments/accelerate/fsdp2.yaml"
    assert f"--config_file {config} --num_processes 8 " in " ".join(placement_of(8, None, config, 0).placed(run).train)
    assert placement_of(None, 1, None, 0).placed(run) == run


def test_run_directories_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (run,) = planned(tmp_path, output_dir="runs/x")
    assert run.path == tmp_path / "runs/x/grpo/seed-0"
    assert str(run.path) in run.train
    assert str(run.path) in run.evaluate
    assert str(run.path) in run.audit


@pytest.mark.parametrize(
    ("gpus", "processes", "config", "words"),
    [
        (2, 4, None, "contradict each other"),
        (4, 2, None, "contradict each other"),
        (None, None, "ddp.yaml", "add --processes-per-run"),
        (1, None, "ddp.yaml", "add --processes-per-run"),
        (2, None, "nowhere.yaml", "does not exist"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(gpus, processes, config, words):
    path = ROOT / "experiments/accelerate" / config if config else None
    with pytest.raises(UserError, match=words):
        placement_of(gpus, processes, path, 0)


def test_a_batch_that_the_processes_can_not_share_is_refused_before_the_sweep(tmp_path):
    (run,) = planned(tmp_path, set={"train": {"prompts_per_step": 3, "group_size": 5}})
    with pytest.raises(UserError, match="2 processes can't share 15 completions"):
        placement_of(None, 2, None, 0).placed(run)


@pytest.mark.parametrize(
    ("visible", "asked", "jobs", "words"),
    [
        ("0,1", 3, None, "a run is to have 3 GPUs and 2 can be seen"),
        ("", 1, None, "and none can be seen"),
        ("-1", 1, None, "and none can be seen"),
        ("0,1,2,3", 2, 3, "4 GPUs hold 2 runs of 2 at a time"),
    ],
)
def test_more_than_the_machine_has_is_refused(monkeypatch, visible, asked, jobs, words):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UserError, match=words):
        devices_of(placement_of(asked, None, None, 0), jobs, accelerated=True)


def test_where_there_are_gpus_each_process_has_one_without_asking(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    for processes, gpus, parallel in ((None, 1, 4), (2, 2, 2), (4, 4, 1)):
        placement, _, fit = devices_of(placement_of(None, processes, None, 0), None, accelerated=True)
        assert (placement.gpus, fit) == (gpus, parallel)
    placement, gpus, fit = devices_of(placement_of(0, 2, None, 0), 3, accelerated=True)
    assert (placement.gpus, gpus, fit) == (0, [], 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    placement, gpus, fit = devices_of(placement_of(None, 2, None, 0), None, accelerated=False)
    assert (placement.gpus, gpus, fit) == (None, [], max(1, os.cpu_count() // 2))


@pytest.mark.parametrize(
    ("named", "seen"),
    [(None, ["0", "1", "2"]), ("2,0", ["2", "0"]), (" 1 ,GPU-ab,-1,3", ["1", "GPU-ab"]), ("", []), ("NoDevFiles", [])],
)
def test_gpus_are_those_that_cuda_would_see(monkeypatch, named, seen):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == seen


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--engine", "slurm"], "add --dry-run"),
        (["--address", "auto"], "add --engine ray"),
        (["--gpus-per-run", "2", "--processes-per-run", "4"], "contradict each other"),
        (["--gpus-per-run", "2", "--accelerate-config", "nowhere.yaml"], "nowhere.yaml does not exist"),
    ],
)
def test_a_bad_combination_of_options_is_one_sentence(tmp_path, monkeypatch, capsys, words, sentence):
    from rlsd_cli import cli

    planned(tmp_path)
    monkeypatch.setattr(sys, "argv", ["rlsd", "sweep", str(tmp_path / "sweep.yaml"), *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_launched_process_leaves_by_itself_when_the_launcher_is_asked_to(tmp_path):
    """Accelerate's own launcher would end it with exit code 1."""
    script = tmp_path / "train.py"
    script.write_text(
        "import os, pathlib, signal, time\n"
        f"here = pathlib.Path({str(tmp_path)!r}) / os.environ['RANK']\n"
        "def leave(*_):\n"
        "    here.with_suffix('.left').touch()\n"
        "    raise SystemExit(0)\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "here.touch()\n"
        "while True: time.sleep(0.05)\n"
    )
    (run,) = planned(tmp_path)
    words = executable(placement_of(None, 2, None, 0).launched(run.train))
    words = [*words[: words.index("-m", 3)], str(script)]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)})
    while not all((tmp_path / rank).exists() for rank in "01"):
        assert process.poll() is None
    process.terminate()
    assert process.wait() == 0
    assert all((tmp_path / f"{rank}.left").exists() for rank in "01")


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_sweep_trains_a_run_with_two_processes(tmp_path, tiny_model):
    from processes import rlsd

    from rlsd_cli.runs.directory import RunDir

    train = {"steps": 2, "prompts_per_step": 2, "group_size": 2, "max_completion_tokens": 4, "threads": 1}
    settings = {"train": train, "model": {"path": str(tiny_model)}, "log": {"probe_prompts": 2, "probe_group": 2}}
    content = {"output_dir": "runs", "seeds": [0], "samples": 1, "limit": 2, "runs": [{"method": "rlsd"}]}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({**content, "set": settings}))
    words = ("sweep", "sweep.yaml", "--processes-per-run", "2")
    done = rlsd(*words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}).finish()
    run = RunDir(tmp_path / "runs/rlsd/seed-0")
    log = run.path.with_name("seed-0.log")
    assert done.returncode == 0, done.stderr + log.read_text()
    assert [line["step"] for line in run.metrics()] == [1, 2]
    assert read_object(run.provenance_file)["attempts"][0]["command"][-1] == "--resume"
    assert (run.leakage_dir / "report.json").is_file()
