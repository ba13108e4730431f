"""`python -m rlsd_cli.sweep.child PARENT COMMAND…`: an rlsd command that ends with the sweep that started it.

A sweep that is killed outright can't stop its runs, and a second sweep must not find them still writing. On Linux
the kernel tells them: they get SIGTERM, on which `rlsd train` saves a checkpoint and leaves. Elsewhere a run
goes on by itself, and the next sweep waits for it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with(parent: int) -> None:
    """Have this process get SIGTERM, once, when its parent dies; end at once if it has died already."""
    if sys.platform != "linux":
        return
    import ctypes

    # A dying parent with several threads hands its children from one to the next, and the kernel tells them each
    # time; a second SIGTERM means "leave at once" to `rlsd train`, so another signal takes the message.
    def orphaned(number: int, frame: Any) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGUSR1, orphaned)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != parent:
        raise SystemExit(f"the sweep {parent} is gone")


def main() -> None:
    """Run ``COMMAND…`` as `rlsd` would."""
    parent, *command = sys.argv[1:]
    end_with(int(parent))
    sys.argv = ["rlsd", *command]
    from rlsd_cli.cli import main as run

    run()


if __name__ == "__main__":
    main()
