"""Reading tables of examples: parquet and JSON files, directories in a hub's layout, hub data sets."""

from __future__ import annotations

import codecs
import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

READERS = {".parquet": "parquet", ".json": "json", ".jsonl": "json"}


def undecoded(feature: Any) -> Any:
    """Return a feature with its images left as bytes and paths, so that a broken one is met row by row."""
    from datasets import Image, List

    if isinstance(feature, Image):
        return Image(decode=False)
    if isinstance(feature, List):
        return List(undecoded(feature.feature), length=feature.length)
    return feature


def refuse_bare_values(path: Path) -> None:
    """Refuse JSON that is not of objects: pyarrow's reader ends the process at a file that begins with ``null``.

    Raises:
        UserError: The file begins with no bracket, or a line of a JSON-lines file begins with ``null``.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data[:4096].removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        if start not in (b"{", b"[") or (path.suffix == ".jsonl" and data.find(b"\nnull") >= 0):
            raise UserError(f"the data set {path} holds JSON values that are no objects: give one object per question.")


def read_file(path: Path) -> Dataset:
    """Return the rows of one parquet, JSON or JSONL file."""
    from datasets import load_dataset

    if path.suffix not in READERS:
        raise UserError(f"{path} is no data set: give a .parquet, .json or .jsonl file, a directory or a hub id.")
    if path.stat().st_size == 0:
        raise UserError(f"the data set {path} is empty: give a file with at least one row.")
    if READERS[path.suffix] == "json":
        refuse_bare_values(path)
    return load_dataset(READERS[path.suffix], data_files=str(path), split="train")


def read_repository(source: str, split: str, subset: str | None, every_subset: bool) -> Dataset:
    """Return a split of a hub data set, or of a directory in the same layout."""
    from datasets import concatenate_datasets, get_dataset_config_names, load_dataset

    names = get_dataset_config_names(source)
    if subset is not None and subset not in names:
        from rlsd_cli.config.layers import nearest

        raise UserError(f"{source} has no subset '{subset}'{nearest(subset, names) or '.'} It has: {', '.join(names)}.")
    if subset is None and len(names) > 1 and not every_subset and "default" not in names:
        raise UserError(f"{source} has several subsets: choose one with task.data.subset, of {', '.join(names)}.")
    if subset is None and len(names) > 1 and every_subset:
        return concatenate_datasets([load_dataset(source, name, split=split) for name in names])
    return load_dataset(source, subset, split=split)


def load_rows(source: str, split: str = "train", subset: str | None = None, every_subset: bool = False) -> Dataset:
    """Return the rows of a data set, memory-mapped, with images undecoded.

    Args:
        source: A .parquet, .json or .jsonl file (``split`` means nothing then), a directory that holds
            such files, or the id of a hub data set.
        split: Which split.
        subset: Which configuration, of those that a hub data set has.
        every_subset: Join all configurations where ``subset`` is None (MMMU has one per subject).

    Raises:
        UserError: It does not exist, can't be read, has no such split or subset, or is empty.
    """
    path = Path(source).expanduser()
    try:
        if path.is_file():
            rows = read_file(path)
        elif path.is_dir() or (source.count("/") <= 1 and not source.startswith((".", "/", "~"))):
            rows = read_repository(str(path) if path.is_dir() else source, split, subset, every_subset)
        else:
            raise UserError(f"the data set {source} does not exist: check the path.")
    except UserError:
        raise
    except Exception as error:  # datasets and its readers raise more than a dozen kinds
        raise UserError(unreadable(source, path.exists(), error)) from None
    if not len(rows):
        raise UserError(f"the data set {source} is empty: give one with at least one row.")
    for name, feature in rows.features.items():
        if undecoded(feature) != feature:
            rows = rows.cast_column(name, undecoded(feature))
    return rows


def unreadable(source: str, local: bool, error: Exception) -> str:
    """Return the sentence for a data set that could not be read."""
    cause = error
    while cause.__cause__ is not None and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    reason = " ".join(str(cause or error).split())[:200].rstrip(".")
    if local:
        return f"the data set {source} cannot be read: {reason}."
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") not in (None, "", "0") else ""
    return (
        f"the data set {source} is neither a local path nor to be had from the hub{offline}: "
        f"check the name and the network, or give a local copy. Said: {reason}."
    )
