"""Sweeps: the plan, what is done already, and that one failure stops no other run."""

import fcntl
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from rlsd_cli import __version__
from rlsd_cli.arms import ARMS, configure
from rlsd_cli.config.assignments import parse_assignment
from rlsd_cli.config.run import dump
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import base_run
from rlsd_cli.evaluation.settings import EvalOptions
from rlsd_cli.runs.directory import RunDir, write_json, write_text
from rlsd_cli.runs.lock import busy
from rlsd_cli.sweep.child import context, start
from rlsd_cli.sweep.launch import Job, jobs_of, launch
from rlsd_cli.sweep.placement import devices_of, placement_of
from rlsd_cli.sweep.plan import PlannedRun, missing, plan, read_sweep

ROOT = Path(__file__).parents[2]
EVALUATED = {"suite": "chain", "checkpoint_step": 0, "task_suites": ["chain"], **asdict(EvalOptions())}
EVALUATED |= {"dtype": "float32", "max_new_tokens_from": "suite"}
SWEEPS = sorted((ROOT / "experiments").glob("*/*.yaml"))
SWEEPS = [path for path in SWEEPS if "runs:" in path.read_text()]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_file_makes_a_plan(path):
    sweep = read_sweep(path)
    runs = plan(sweep)
    variants = [variant for entry in sweep.runs for variant in entry.variants()]
    assert len(runs) == sum(len(variant.seeds or sweep.seeds) for variant in variants) + sweep.base
    assert len({run.path for run in runs}) == len(runs)
    # Twice the steps is a variant that says so in its name.
    plain = [run.config for run in runs if not run.config.name.endswith("-2x")]
    budgets = {(each.train.steps, each.train.prompts_per_step, each.train.group_size) for each in plain}
    assert len(budgets) == 1, "a comparison has one budget"


def test_the_sweep_of_all_arms_has_every_arm_with_decoys_the_probe_and_the_same_seeds():
    runs = plan(read_sweep(ROOT / "experiments/micro/paper.yaml"))[1:]  # the first is the untrained model
    by_label = {run.config.name: run.config for run in runs}
    assert set(ARMS) <= set(by_label)
    assert {"opsd-as-released", "sdpo-as-released", "rlsd-official"} <= set(by_label)
    assert {(run.config.leakage.decoy_share, run.config.log.probe_every) for run in runs} == {(0.1, 20)}
    assert {label: {run.config.seed for run in runs if run.config.name == label} for label in by_label} == {
        label: set(range(5)) for label in by_label
    }
    released = by_label["opsd-as-released"]
    assert (released.teacher.source, released.objective["entry_clip"]) == ("frozen", 0.05)
    for label, preset in (("opsd", "micro-released"), ("sdpo", "micro-released"), ("rlsd", "micro-official")):
        own = configure.build([configure.preset_layer(preset, label)])
        swept = by_label["rlsd-official" if label == "rlsd" else f"{label}-as-released"]
        assert (swept.objective, swept.teacher, swept.train.aggregation) == (
            own.objective,
            own.teacher,
            own.train.aggregation,
        )


def test_a_grid_is_a_variant_for_each_combination_and_seeds_can_be_a_variants_own(tmp_path):
    grid = {"objective.mix": [0.5, 1.0], "train.learning_rate": [1e-4, 3e-4]}
    runs = [{"method": "rlsd", "grid": grid, "set": {"train": {"steps": 3}}}, {"method": "grpo", "seeds": [0, 7]}]
    planned = plan(read_sweep(sweep_file(tmp_path, seeds=[0, 1], runs=runs)))
    labels = ["rlsd-0.5-0.0001", "rlsd-0.5-0.0003", "rlsd-1-0.0001", "rlsd-1-0.0003"]
    assert [(run.config.name, run.config.seed) for run in planned] == [
        *((label, 0) for label in labels),
        ("grpo", 0),
        *((label, 1) for label in labels),
        ("grpo", 7),
    ]
    last = planned[3].config
    assert (last.train.learning_rate, last.objective["mix"], last.train.steps) == (3e-4, 1.0, 3)


def test_the_printed_command_builds_the_planned_configuration():
    run = plan(read_sweep(ROOT / "experiments/micro/paper.yaml"))[-1]
    words = list(run.train)
    sets = [parse_assignment(words[i + 1]) for i, word in enumerate(words) if word == "--set"]
    flags = {"method": words[words.index("--method") + 1], "seed": int(words[words.index("--seed") + 1])}
    preset = configure.preset_layer("micro", flags["method"])
    assert configure.build([preset, flags, *sets]) == run.config


def sweep_file(tmp_path, **changes):
    content = {"output_dir": str(tmp_path / "runs"), "seeds": [0], "runs": [{"method": "grpo"}], **changes}
    path = tmp_path / "sweep.yaml"
    path.parent.mkdir(exist_ok=True)
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
        ({"base": True, "runs": [{"method": "grpo", "label": "base"}]}, "another label"),
    ],
)
def test_a_mistake_in_a_sweep_file_is_one_sentence(tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        plan(read_sweep(sweep_file(tmp_path, **changes)))


def test_only_what_is_missing_is_run(tmp_path):
    (run,) = plan(read_sweep(sweep_file(tmp_path)))
    everything = [run.train, run.evaluate, run.audit]
    assert missing(run) == everything
    directory = RunDir(run.path)
    write_text(directory.config_file, dump(run.config))
    directory.write_status(state="running")
    assert missing(run) == everything
    directory.write_status(state="complete")
    assert missing(run) == everything[1:]
    write_json(directory.eval_dir / "chain.json", {**EVALUATED, "limit": 5})
    write_json(directory.leakage_dir / "report.json", {})
    assert missing(run) == everything[1:], "a part of the questions is not the suite"
    (directory.leakage_dir / "report.json").unlink()
    write_json(directory.eval_dir / "chain.json", EVALUATED)
    assert missing(run) == everything[1:], "an evaluation that was killed half-way is made again"
    write_json(directory.leakage_dir / "report.json", {})
    assert missing(run) == []
    for changes in ({"max_new_tokens_from": "option"}, {"dtype": "bfloat16"}, {"top_p": 0.9}, {"seed": 1}):
        write_json(directory.eval_dir / "chain.json", {**EVALUATED, **changes})
        assert missing(run) == everything[1:], f"made with {changes}"
    write_json(directory.eval_dir / "chain.json", {**EVALUATED, "task_suites": ["chain", "long"]})
    assert missing(run) == everything[1:], "of two suites only one"
    write_json(directory.eval_dir / "chain.json", {**EVALUATED, "checkpoint_step": 50})
    assert missing(run) == everything[1:], "of another step"
    write_json(directory.eval_dir / "chain.json", {"suite": "chain", "samples": 4, "checkpoint_step": 0})
    assert missing(run) == everything[1:], "an older rlsd did not say how"
    for changes in ({"samples": 8}, {"limit": 7}):
        (other,) = plan(read_sweep(sweep_file(tmp_path, **changes)))
        assert missing(other) == [other.evaluate, other.audit]
    write_json(directory.eval_dir / "chain.json", EVALUATED)
    assert [job.state for job in jobs_of([run])] == ["done before"]


def test_a_directory_with_another_configuration_is_refused(tmp_path):
    (run,) = plan(read_sweep(sweep_file(tmp_path)))
    write_text(RunDir(run.path).config_file, "method: opsd\n")
    with pytest.raises(UserError, match="another configuration"):
        missing(run)


def test_the_blame_of_rlsd_is_measured_once_without_evaluating_again(tmp_path):
    content = sweep_file(tmp_path, planted=20, runs=[{"method": "grpo"}, {"method": "rlsd"}])
    grpo, rlsd = plan(read_sweep(content))
    assert grpo.blame == ()
    directory = RunDir(rlsd.path)
    write_text(directory.config_file, dump(rlsd.config))
    directory.write_status(state="complete")
    write_json(directory.eval_dir / "chain.json", EVALUATED)
    write_json(directory.leakage_dir / "report.json", {})
    assert missing(rlsd) == [rlsd.blame]
    write_json(directory.credit_dir / "planted.json", {"n": 20})
    assert missing(rlsd) == []
    (_, more) = plan(read_sweep(sweep_file(tmp_path, planted=30, runs=[{"method": "grpo"}, {"method": "rlsd"}])))
    assert missing(more) == [more.blame]


def test_a_sweep_with_decoys_measures_their_exposure_once_where_there_are_enough(tmp_path):
    settings = {"leakage": {"decoy_share": 0.1}, "train": {"steps": 20}}
    (run,) = plan(read_sweep(sweep_file(tmp_path, set=settings)))
    assert run.expose[:4] == ("rlsd", "leakage-audit", str(run.path), "--exposure")
    assert missing(run) == [run.train, run.evaluate, run.audit, run.expose]
    directory = RunDir(run.path)
    write_text(directory.config_file, dump(run.config))
    directory.write_status(state="complete")
    write_json(directory.eval_dir / "chain.json", EVALUATED)
    write_json(directory.leakage_dir / "report.json", {})
    assert missing(run) == [run.expose]
    write_text(directory.leakage_dir / "exposure.parquet", "")
    assert missing(run) == []
    for few in ({**settings, "leakage": {"decoy_share": 0.0}}, {**settings, "train": {"steps": 2}}):
        (other,) = plan(read_sweep(sweep_file(tmp_path / "few", output_dir=str(tmp_path / "few"), set=few)))
        assert other.expose == ()


def test_the_untrained_model_is_evaluated_once_whatever_the_seeds(tmp_path):
    changes = {"base": True, "seeds": [0, 1], "limit": 7, "set": {"task": {"operations": 3}}}
    base, *others = plan(read_sweep(sweep_file(tmp_path, **changes)))
    assert len(others) == 2
    assert (base.name, base.train, base.audit) == ("base", (), ())
    assert missing(base) == [base.evaluate]
    line = " ".join(base.evaluate)
    assert "--model micro-base" in line
    assert "--set task.operations=3 --samples 4 --limit 7" in line
    directory = base_run(base.path, "micro-base", base.config.task)
    write_json(directory.eval_dir / "limit-7" / "chain.json", {**EVALUATED, "limit": 7})
    assert missing(base) == [base.evaluate], "killed before the last suite"
    directory.write_status(state="complete")
    assert missing(base) == []
    (other, *_) = plan(read_sweep(sweep_file(tmp_path, base=True)))
    with pytest.raises(UserError, match="another configuration"):
        missing(other)


def job(tmp_path, name, *codes):
    """A job whose commands are Python one-liners (`rlsd` is replaced by the interpreter's -c)."""
    run = PlannedRun(config=None, path=tmp_path / name / "seed-0", train=(), evaluate=(), audit=())
    return Job(run, [("rlsd", code) for code in codes])


class Python:
    """A command's process that runs a line of Python instead."""

    def __init__(self, command, log, environment):
        self.process = subprocess.Popen([sys.executable, "-c", command[-1]], env={**os.environ, **environment})
        self.terminate, self.join = self.process.terminate, self.process.wait

    @property
    def exitcode(self):
        return self.process.poll()


@pytest.fixture
def python_for_rlsd(monkeypatch):
    monkeypatch.setattr("rlsd_cli.sweep.launch.start", Python)
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


@pytest.mark.timeout(0)
def test_a_command_is_a_process_of_its_own_whose_crash_harms_no_other(tmp_path):
    log = tmp_path / "log"
    crashed = context().Process(target=os.abort)
    crashed.start()
    refused, good = (start(("rlsd", *words), log, {}) for words in (("eval", "nowhere"), ("--version",)))
    for process in (crashed, refused, good):
        process.join()
    assert [each.exitcode for each in (crashed, refused, good)] == [-signal.SIGABRT, 2, 0]
    assert "nowhere does not exist" in log.read_text()
    assert f"rlsd {__version__}" in log.read_text()


def test_each_run_has_gpus_of_its_own_and_as_many_go_at_once_as_the_gpus_hold(tmp_path, python_for_rlsd, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,GPU-6,7,8")
    placement, gpus, parallel = devices_of(placement_of(2, None, None, 0), None, accelerated=False)
    assert (placement.processes, gpus, parallel) == (2, ["4", "5", "GPU-6", "7", "8"], 2)
    shown = tmp_path / "shown"
    shown.mkdir()
    # A run writes what it sees and waits until another one has written, so that two are there at the same time.
    code = (
        "import os, pathlib, time; d = pathlib.Path({!r}); "
        "(d / {!r}).write_text(os.environ['CUDA_VISIBLE_DEVICES'])\n"
        "while len(list(d.iterdir())) < {}: time.sleep(0.01)"
    )
    jobs = [job(tmp_path, str(i), code.format(str(shown), str(i), 2 * (i // 2) + 2)) for i in range(4)]
    together = []

    def look(state):
        together.append([j.environment["CUDA_VISIBLE_DEVICES"] for j in state if j.state == "running"])

    assert launch(jobs, parallel, look, gpus=gpus, gpus_per_run=placement.gpus)
    assert [path.read_text().count(",") for path in shown.iterdir()] == [1] * 4
    assert max(map(len, together)) == 2
    for seen in together:
        devices = ",".join(seen).split(",") if seen else []
        assert len(devices) == len(set(devices)), "no GPU has two runs"


def test_a_run_without_gpus_sees_none(tmp_path, python_for_rlsd):
    check = "import os; assert os.environ['CUDA_VISIBLE_DEVICES'] == ''"
    assert launch([job(tmp_path, "a", check)], 1, gpus_per_run=0)


def test_a_command_that_a_signal_has_ended_is_started_again_and_one_that_gave_up_is_not(tmp_path, python_for_rlsd):
    marks = tmp_path / "marks"
    kill = f"import os; f = open({str(marks)!r}, 'a'); f.write('x'); f.close(); os.kill(os.getpid(), 9)"
    once = f"import os\nif not os.path.exists({str(tmp_path / 'o')!r}): open({str(tmp_path / 'o')!r}, 'w'); os.abort()"
    jobs = [job(tmp_path, "always", kill), job(tmp_path, "once", once), job(tmp_path, "error", "raise SystemExit(1)")]
    assert not launch(jobs, 3, tries=2)
    assert [(each.state, each.lost) for each in jobs] == [("failed", 2), ("done", 1), ("failed", 0)]
    assert marks.read_text() == "xxx"


def test_never_more_jobs_at_a_time_than_asked(tmp_path, python_for_rlsd):
    jobs = [job(tmp_path, str(i), "import time; time.sleep(0.15)") for i in range(5)]
    running = []
    assert launch(jobs, parallel=2, on_change=lambda state: running.append(sum(j.state == "running" for j in state)))
    assert max(running) == 2


def test_a_run_in_which_another_process_trains_is_waited_for(tmp_path, python_for_rlsd):
    held, free = job(tmp_path, "held", "pass"), job(tmp_path, "free", "pass")
    held.run.path.mkdir(parents=True)
    lock = open(held.run.path / ".lock", "w")  # noqa: SIM115
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert busy(held.run.path)
    seen = []

    def look(state):
        seen.append((held.state, free.state))
        if free.state == "done":
            lock.close()

    assert launch([held, free], parallel=1, on_change=look)
    assert ("waiting", "done") in seen
    assert held.state == "done"
    assert not busy(held.run.path)
