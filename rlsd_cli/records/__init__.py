"""Files of rows: which kinds there are, and their rows one by one or by number; for training, evaluation and audit."""

from rlsd_cli.records.decode import Damage, RowError, stream_rows
from rlsd_cli.records.folders import files_in
from rlsd_cli.records.kinds import KINDS, Kind, kind_of, refuse_url, stem_of
from rlsd_cli.records.missing import is_missing

__all__ = [
    "KINDS",
    "Damage",
    "Kind",
    "RowError",
    "files_in",
    "is_missing",
    "kind_of",
    "refuse_url",
    "stem_of",
    "stream_rows",
]
