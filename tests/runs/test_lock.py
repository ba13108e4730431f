"""Who trains in a run directory: living processes keep it, dead ones and lost machines do not."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from rlsd_cli.errors import UserError
from rlsd_cli.runs import lock
from rlsd_cli.runs.lock import busy, held, holder_of, this_process


@pytest.fixture
def elsewhere(tmp_path):
    """A directory whose lock file names a process of another machine, and how to set when it was last seen."""
    path = tmp_path / ".lock"
    path.write_text(json.dumps(asdict(replace(this_process(), host="node-7", system="another boot"))))

    def seen(seconds_ago):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds_ago))

    return tmp_path, seen


def test_a_directory_is_held_by_one_process_and_let_go_in_good_order(tmp_path):
    with held(tmp_path):
        assert busy(tmp_path)
        assert holder_of(tmp_path / ".lock") == this_process()
        with pytest.raises(UserError, match=rf"another process \({os.getpid()}\) is training"), held(tmp_path):
            pass
    assert not busy(tmp_path)
    assert (tmp_path / ".lock").read_text() == ""


def test_a_machine_that_gave_a_sign_of_life_keeps_its_lock_though_flock_does_not_reach_it(elsewhere):
    directory, seen = elsewhere
    seen(lock.GONE_AFTER_S - 30)
    assert busy(directory)
    with pytest.raises(UserError, match=r"on node-7, last seen 3\d s ago"), held(directory):
        pass


def test_a_machine_that_is_silent_has_lost_its_lock_even_where_the_file_server_still_keeps_it(elsewhere):
    directory, seen = elsewhere
    with open(directory / ".lock", "r+") as file:  # as a file server does for a machine that is gone
        fcntl.flock(file, fcntl.LOCK_EX)
        assert busy(directory)
        seen(lock.GONE_AFTER_S + 1)
        assert not busy(directory)
        with held(directory):
            assert holder_of(directory / ".lock") == this_process()
            assert busy(directory)


HOLD = """
import os, sys, time
from pathlib import Path
from rlsd_cli.runs import lock
lock.BEAT_S = 0.05
with lock.held(Path(sys.argv[1])):
    if sys.argv[2] == "fork" and os.fork() == 0:
        os.close(1)
        time.sleep(600)
    print("held", os.getpid(), flush=True)
    time.sleep(600)
"""


def holding(directory, how):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(directory), how], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline().startswith("held")
    return process


def test_what_a_killed_process_has_forked_does_not_keep_its_lock(tmp_path):
    import psutil

    process = holding(tmp_path, "fork")
    (orphan,) = psutil.Process(process.pid).children()
    assert busy(tmp_path)
    process.kill()
    process.wait()
    try:
        with open(tmp_path / ".lock") as file, pytest.raises(OSError, match="unavailable"):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # the orphan has it
        assert not busy(tmp_path)
        with held(tmp_path):
            assert busy(tmp_path)
    finally:
        os.kill(orphan.pid, signal.SIGKILL)


def test_a_process_whose_lock_was_taken_ends_at_once(tmp_path):
    process = holding(tmp_path, "alone")
    (tmp_path / ".lock").unlink()
    with held(tmp_path):
        assert process.wait() == lock.LOST
        assert "another process has taken over" in process.stderr.read()
        assert busy(tmp_path)


def test_a_process_with_the_number_of_a_dead_one_is_not_its_holder():
    assert this_process().runs
    assert not replace(this_process(), started=this_process().started - 100).runs
