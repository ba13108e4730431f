"""What nobody foresaw ends in one sentence and a file with the traceback; what a person can change says so."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rlsd_cli.runs import crash
from rlsd_cli.training.run import prepare

INJECTED = """
import sys
{patched}
from rlsd_cli.cli import main

def broken(*args, **kwargs):
    {fault}

{place} = broken
sys.argv = ["rlsd", *sys.argv[1:]]
main()
"""


# What is made to fail: the reading of a sweep file, which needs no torch; or a training that has its directory.
SWEEP = ("rlsd_cli.config.layers", "read_yaml", ("sweep", "x.yaml"))
TRAIN = ("rlsd_cli.training.run", "_train_locked", ("train", "--method", "grpo", "--output-dir", "out"))


def rlsd(fault, cwd, where=SWEEP, **environment):
    module, name, arguments = where
    code = INJECTED.format(fault=fault, patched=f"import {module} as patched", place=f"patched.{name}")
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(cwd), **environment},
        check=False,
    )


def test_an_unforeseen_failure_is_one_sentence_and_a_file_in_the_run_directory(tmp_path):
    result = rlsd("raise RuntimeError('kernel\\n\\x1b[31m went away')", cwd=tmp_path, where=TRAIN)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(
        "rlsd: train failed: RuntimeError: kernel \\x1b[31m went away; the traceback is in "
    )
    assert "\x1b" not in result.stderr
    told = (tmp_path / "out" / "crash.txt").read_text()
    assert "in broken" in told
    assert "RuntimeError: kernel" in told


def test_a_directory_with_nothing_but_a_traceback_is_free_for_a_run(tmp_path, tiny_config):
    (tmp_path / "crash.txt").write_text("Traceback")
    assert prepare(tmp_path, tiny_config("grpo"), resume=False).path == tmp_path


def test_without_a_run_directory_the_file_is_a_temporary_one(tmp_path):
    result = rlsd("raise ZeroDivisionError", cwd=tmp_path)
    assert result.returncode == 1
    path = re.search(r"the traceback is in (\S+) ", result.stderr)[1]
    assert path.startswith(str(tmp_path))
    assert "ZeroDivisionError" in Path(path).read_text()


def test_debugging_shows_the_traceback_too(tmp_path):
    result = rlsd("raise RuntimeError('x')", cwd=tmp_path, RLSD_DEBUG="1")
    assert "Traceback" in result.stderr
    assert result.returncode == 1
    assert "Traceback" not in rlsd("raise RuntimeError('x')", cwd=tmp_path, RLSD_DEBUG="0").stderr


def test_a_user_error_stays_what_it_was(tmp_path):
    fault = "from rlsd_cli.errors import UserError; raise UserError('give another.')"
    result = rlsd(fault, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (2, "rlsd: give another.\n")
    assert not list(tmp_path.rglob("*crash*"))


# A shell that starts a command in the background has it ignore SIGINT, so Python's own handler is put back first.
SIGNAL = "import os, signal; signal.signal(2, signal.default_int_handler); os.kill(os.getpid(), 2)"


@pytest.mark.parametrize("fault", ["raise KeyboardInterrupt", SIGNAL])
def test_ctrl_c_has_an_exit_code_of_its_own_and_no_traceback(tmp_path, fault):
    result = rlsd(fault, cwd=tmp_path)
    assert result.returncode == 128 + signal.SIGINT
    assert result.stderr == "rlsd: stopped.\n"


def test_an_exit_code_that_a_library_chose_is_kept(tmp_path):
    assert rlsd("sys.exit(7)", cwd=tmp_path).returncode == 7


def test_a_closed_pipe_is_nobodys_fault(tmp_path):
    result = rlsd("raise BrokenPipeError", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (MemoryError(), "the memory did not suffice", 2),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "the memory did not suffice", 2),
        (OSError(28, "No space left on device"), "the disk is full", 2),
        (PermissionError(13, "Permission denied", "/x/y"), "/x/y: permission denied", 2),
        (FileExistsError(17, "File exists", "/x"), "/x is a file, or lies in one", 2),
        (IsADirectoryError(21, "Is a directory", "/x"), "/x: is a directory", 2),
        (ModuleNotFoundError("No module named 'a.b'", name="a.b"), "the package a is missing", 2),
        (AssertionError(), "AssertionError", 1),
        (KeyError("answer"), "KeyError: 'answer'", 1),
    ],
)
def test_what_a_person_can_change_is_told_as_such(error, words, code):
    said, exit_code = crash.explained(error)
    assert said.startswith(words)
    assert exit_code == code


def test_a_link_in_the_place_of_the_file_is_not_written_through(tmp_path, monkeypatch):
    target = tmp_path / "precious.txt"
    target.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / "crash.txt").symlink_to(target)
    monkeypatch.setattr(crash, "_run", [run])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = crash.written("text")
    assert path.parent == tmp_path
    assert target.read_text() == "mine"


def test_where_nothing_can_be_written_the_sentence_comes_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(crash, "_run", [])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    sentence, code = crash.report(RuntimeError("x"), "plot")
    assert sentence == "plot failed: RuntimeError: x; RLSD_DEBUG=1 shows the traceback."
    assert code == 1
