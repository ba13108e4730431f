"""The command line as a person meets it: help at once, one sentence and exit code 2 for each mistake."""

import os
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from rlsd_cli.arms import ARMS, load_arm
from rlsd_cli.cli import app

RUN = CliRunner()


def rlsd(*arguments):
    return subprocess.run([sys.executable, "-m", "rlsd_cli", *arguments], capture_output=True, text=True, check=False)


def test_help_lists_the_commands_and_loads_nothing_heavy():
    code = (
        "import sys, runpy; sys.argv = ['rlsd', '--help']\n"
        "try: runpy.run_module('rlsd_cli', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for command in ("train", "eval", "leakage-audit", "plot", "sweep", "arms", "theory"):
        assert command in result.stdout


def test_the_arms_are_readable_at_eighty_columns():
    shown = RUN.invoke(app, ["arms"], env={"COLUMNS": "80"}).output
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 4 * len(ARMS) + 5, "at most three lines each"
    assert "…" not in shown
    for name in ARMS:
        arm = load_arm(name)
        place = next(i for i, line in enumerate(lines) if line.split()[:1] == [name])
        said = " ".join(" ".join(lines[place : place + 4]).split())
        assert f"{name} {arm.summary}" in said
        assert f"{arm.data} · {arm.direction} · " in said


def test_the_shell_completes_commands_and_options():
    call = [sys.executable, "-c", "import sys; sys.argv = ['rlsd']; from rlsd_cli.cli import main; main()"]
    for words, index, wanted in (("rlsd leak", 1, "leakage-audit"), ("rlsd sweep --gpus", 2, "--gpus-per-run")):
        asked = {"_RLSD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(index)}
        done = subprocess.run(call, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
        assert done.stdout.split() == [wanted]


def test_the_help_is_grouped_by_what_people_do():
    shown = RUN.invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    places = [shown.index(f"─ {panel} ─") for panel in ("Run", "Measure", "Show", "Check")]
    assert places == sorted(places)
    assert places[1] < shown.index("leakage-audit") < places[2]


@pytest.mark.parametrize("command", ["train", "eval", "leakage-audit", "plot", "sweep", "import", "arms", "theory"])
def test_each_command_explains_itself(command):
    result = RUN.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--method", "rlds"], "did you mean 'rlsd'"),
        (["train", "--method", "rlsd", "--set", "train.step=3"], "did you mean 'train.steps'"),
        (["train", "--method", "rlsd", "--set", "objective.eps=3"], "objective.eps"),
        (["train", "--method", "rlsd", "--set", "steps"], "--set takes key.sub=value"),
        (["train", "--config", "nowhere.yaml"], "does not exist"),
        (["train", "--preset", "mikro"], "did you mean 'micro'"),
        (["eval", "nowhere"], "nowhere does not exist"),
        (["leakage-audit", "nowhere"], "nowhere"),
        (["plot", "nowhere"], "nowhere"),
        (["sweep", "nowhere.yaml"], "nowhere.yaml does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(__import__("pathlib").Path(__file__).parents[2]))
    result = rlsd(*arguments)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr
    assert result.stderr.startswith("rlsd: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["eval", "leakage-audit", "plot"])
def test_a_directory_that_is_no_run_is_refused(tmp_path, command):
    (tmp_path / "file.txt").write_text("hello")
    result = rlsd(command, str(tmp_path))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_an_occupied_output_directory_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not lose me")
    result = rlsd("train", "--method", "grpo", "--output-dir", str(tmp_path))
    assert result.returncode == 2
    assert "already holds files" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_version_is_printed():
    assert RUN.invoke(app, ["--version"]).output.startswith("rlsd 0.")


def test_help_is_quick():
    # Half a second on an idle machine; the bound leaves room for a busy one.
    start = time.perf_counter()
    rlsd("--help")
    assert time.perf_counter() - start < 5
