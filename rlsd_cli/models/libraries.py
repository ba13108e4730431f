"""Threads and quiet: what the libraries are told before they are used."""

from __future__ import annotations

import os
import warnings


def quiet_libraries(threads: int | None) -> None:
    """Set the CPU threads, and stop the libraries' telemetry, progress bars and advice to their own developers."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import datasets
    import torch
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    if threads:
        torch.set_num_threads(threads)
