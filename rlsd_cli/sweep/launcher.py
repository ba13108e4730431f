"""`python -m rlsd_cli.sweep.launcher …`: accelerate's launcher, which on SIGTERM lets its processes end by themselves.

Its own way is to kill them 30 seconds later, in the middle of a large checkpoint.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType


def through_launcher(words: Sequence[str]) -> int:
    """Run ``accelerate launch`` with these words and return its exit code; SIGTERM goes to what it has launched."""
    import psutil

    command = (sys.executable, "-m", "accelerate.commands.launch", *words)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def leave(number: int, frame: FrameType | None) -> None:
        try:
            launched = psutil.Process(process.pid).children()
        except psutil.Error:
            return
        for each in launched or [process]:
            each.terminate()

    signal.signal(signal.SIGTERM, leave)
    return process.wait()


if __name__ == "__main__":
    sys.exit(through_launcher(sys.argv[1:]))
