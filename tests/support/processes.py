"""Commands as processes, waited for by their progress and not by a clock.

A machine that is ten times as busy gives a process a tenth of the CPU time per second, and the same amount in the
end. So a process may take any time: it is given up when it uses no CPU time for long, or far more than it needs.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

STALLED_S = 300.0  # without any CPU time: even beside a hundred busy processes one gets its turn by then
BUDGET_CPU_S = 900.0  # of a command and all that it starts; those of the tests take 10 to 100
POLL_S = 0.02


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of all its descendants, dead ones that were waited for included."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += sum(each.cpu_times()[:4])
    return total


class Command:
    """A started command; its output goes to files, so that it never waits for a reader."""

    def __init__(self, command: Sequence[object], cwd: Path, env: dict[str, str] | None = None) -> None:
        self._files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115 - they live with the command
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._files[0],
            stderr=self._files[1],
        )

    @property
    def stdout(self) -> str:
        """What it has printed."""
        return self._read(0)

    @property
    def stderr(self) -> str:
        """What it has said on stderr."""
        return self._read(1)

    def _read(self, number: int) -> str:
        self._files[number].seek(0)
        return self._files[number].read()

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.process.poll()

    def wait_for(self, condition: Callable[[], bool], *, ended_too: bool = False) -> None:
        """Wait until a condition holds.

        Args:
            condition: Asked again and again.
            ended_too: The command may have ended.

        Raises:
            AssertionError: The command ended before, or makes no progress, or uses far too much CPU time.
        """
        used, since = -1.0, time.monotonic()
        while not condition():
            running = self.process.poll() is None
            assert running or ended_too, f"ended with {self.process.returncode}: {self.stdout}{self.stderr}"
            now = cpu_seconds(self.process.pid)
            if now > used:
                used, since = now, time.monotonic()
            assert time.monotonic() - since < STALLED_S, f"no progress: {self.stdout}{self.stderr}"
            assert used < BUDGET_CPU_S, f"{used:.0f} CPU seconds and no end: {self.stdout}{self.stderr}"
            time.sleep(POLL_S)

    def finish(self) -> Command:
        """Wait for its end."""
        self.wait_for(lambda: self.process.poll() is not None)
        return self

    def kill(self) -> None:
        """Kill it outright and wait until it is gone."""
        self.process.kill()
        self.process.wait()


def rlsd(*arguments: object, cwd: Path, env: dict[str, str] | None = None) -> Command:
    """Start an rlsd command."""
    return Command([sys.executable, "-m", "rlsd_cli", *arguments], cwd, env)
