"""Where a run came from: versions, machine, git revision, command."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "numpy", "pandas", "vllm")


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a run's numbers."""
    found = {"python": platform.python_version(), "rlsd": importlib.import_module("rlsd_cli").__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_revision() -> dict[str, Any]:
    """Return the revision of the checkout that the package runs from, and whether it has uncommitted changes."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=10)
        return result.stdout.strip() if result.returncode == 0 else ""

    try:
        revision = git("rev-parse", "HEAD")
        return {"revision": revision or None, "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.TimeoutExpired):
        return {"revision": None, "dirty": None}


def hardware() -> dict[str, Any]:
    """Return the processor, its threads in use, and the GPUs."""
    import torch

    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def attempt() -> dict[str, Any]:
    """Return the record of one start of a run."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": versions(),
        "hardware": hardware(),
        "git": git_revision(),
    }
