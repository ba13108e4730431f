"""Reading completions: run directories, JSON lines, parquet and CSV, row by row in bounded memory."""

from rlsd_cli.leakage.inputs.layouts import Columns
from rlsd_cli.leakage.inputs.records import Completion, Repeated, Unreadable
from rlsd_cli.leakage.inputs.sources import Source, completions_source, run_source

__all__ = ["Columns", "Completion", "Repeated", "Source", "Unreadable", "completions_source", "run_source"]
