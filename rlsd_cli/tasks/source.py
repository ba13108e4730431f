"""Reading tables of examples: files of all kinds, folders, hub data sets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError
from rlsd_cli.records.columnar import check_columns
from rlsd_cli.records.errors import Damage
from rlsd_cli.records.folders import files_in
from rlsd_cli.records.kinds import KINDS, kind_of, refuse_url
from rlsd_cli.records.table import Joined, Spooled, Table

if TYPE_CHECKING:
    from datasets import Dataset

_SHARD = re.compile(r"(\w+)-\d{5}-of-\d{5}$")
_WORDS = re.compile(r"[-._ 0-9/]+")


def undecoded(feature: Any) -> Any:
    """Return a feature with its images left as bytes and paths, so that a broken one is met row by row."""
    from datasets import Image, List

    if isinstance(feature, Image):
        return Image(decode=False)
    if isinstance(feature, List):
        return List(undecoded(feature.feature), length=feature.length)
    return feature


def with_stored_images(rows: Dataset) -> Dataset:
    """Return the table with all its image columns undecoded."""
    for name, feature in rows.features.items():
        if undecoded(feature) != feature:
            rows = rows.cast_column(name, undecoded(feature))
    return rows


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what `datasets` logs before it raises: the error says it once more."""
    from datasets.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def read_files(paths: Sequence[Path]) -> Table:
    """Return the rows of files, one after another: parquet and Arrow memory-mapped, the others from a copy.

    Raises:
        UserError: A file or a row is damaged, or a file is of no known kind.
    """
    from datasets import Dataset, load_dataset

    tables: list[Table] = []
    texts = []
    for path in paths:
        kind = kind_of(path)
        if kind is None:
            raise UserError(f"{path} is no data set: give a file of {KINDS}, a folder of such files, or a hub id.")
        if kind.is_text:
            texts.append(path)
            continue
        if texts:
            tables.append(Spooled(texts))
            texts = []
        try:
            with quiet():
                if kind.format == "parquet":
                    check_columns(path)
                    rows = load_dataset("parquet", data_files=str(path), split="train")
                else:
                    rows = Dataset.from_file(str(path))
        except Damage as damage:
            raise UserError(f"the data set {path} cannot be read: {damage}.") from None
        except Exception as error:  # datasets and its readers raise more than a dozen kinds
            raise UserError(unreadable(str(path), True, error)) from None
        tables.append(with_stored_images(rows))
    if texts:
        tables.append(Spooled(texts))
    return tables[0] if len(tables) == 1 else Joined(tables)


def split_of(file: Path) -> str | None:
    """Return the split that the name of a file, or of a folder above it, says; None where none is said.

    >>> split_of(Path("data/test-00000-of-00001.parquet")), split_of(Path("dev/a.jsonl")), split_of(Path("mine.csv"))
    ('test', 'validation', None)
    """
    from datasets.data_files import SPLIT_KEYWORDS

    words = {word: str(split) for split, known in SPLIT_KEYWORDS.items() for word in known}
    if shard := _SHARD.match(file.name.split(".")[0]):
        return words.get(shard[1], shard[1])
    for part in (*file.parts[:-1], file.name.split(".")[0]):
        if found := next((words[word] for word in _WORDS.split(part.lower()) if word in words), None):
            return found
    return None


def read_folder(folder: Path, split: str) -> Table | None:
    """Return a split of a folder of files; None where it is for the library `datasets` to read.

    A file belongs to the split that its name says, and to ``train`` where it says none.

    Raises:
        UserError: There is no such split, or a file can't be read.
    """
    from datasets import load_from_disk

    if (folder / "dataset_dict.json").is_file():  # DatasetDict.save_to_disk
        try:
            saved = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8"))
            splits = list(map(str, saved["splits"]))
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{folder / 'dataset_dict.json'} is damaged: save the data set again.") from None
        refuse_missing(folder, split, splits)
        folder = folder / split
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():  # Dataset.save_to_disk
        return with_stored_images(load_from_disk(str(folder)))
    if has_configurations(folder) or not split.isidentifier():  # as in train[:100]
        return None
    files = [file for file in files_in(folder) if file.name.split(".")[0] != "metadata"]  # of a folder of images
    if not files:
        return None
    parts: dict[str, list[Path]] = {}
    for file in files:
        parts.setdefault(split_of(file.relative_to(folder)) or "train", []).append(file)
    refuse_missing(folder, split, list(parts))
    return read_files(parts[split])


def refuse_missing(folder: Path, split: str, splits: list[str]) -> None:
    """Refuse a split that is not there.

    Raises:
        UserError: It is not.
    """
    if split not in splits:
        raise UserError(f"{folder} has no split '{split}'; it has: {', '.join(splits)} (task.data.split).")


def has_configurations(folder: Path) -> bool:
    """Tell whether a folder's README.md says which files make up which data set, as on the hub."""
    readme = folder / "README.md"
    if not readme.is_file():
        return False
    head = readme.read_text(encoding="utf-8", errors="replace")
    return head.startswith("---") and "\nconfigs:" in head


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


def load_rows(source: str, split: str = "train", subset: str | None = None, every_subset: bool = False) -> Table:
    """Return the rows of a data set, which stay on disk, with images undecoded.

    Args:
        source: A file of a kind of `rlsd_cli.records` (``split`` means nothing then), a folder that holds
            such files or that ``save_to_disk`` wrote, or the id of a hub data set.
        split: Which split.
        subset: Which configuration, of those that a hub data set has.
        every_subset: Join all configurations where ``subset`` is None (MMMU has one per subject).

    Raises:
        UserError: It does not exist, can't be read, has no such split or subset, or is empty.
    """
    refuse_url(source, "the data set")
    path = Path(source).expanduser()
    rows: Table | None = None
    try:
        if path.is_file():
            rows = read_files([path])
        elif path.is_dir() and subset is None:
            rows = read_folder(path, split)
        elif not path.is_dir() and (source.count("/") > 1 or source.startswith((".", "/", "~")) or kind_of(source)):
            what = "is neither a file nor a folder" if path.exists() else "does not exist"
            raise UserError(f"the data set {source} {what}: check the path.")
        if rows is None:
            with quiet():
                found = read_repository(str(path) if path.is_dir() else source, split, subset, every_subset)
            rows = with_stored_images(found)
    except UserError:
        raise
    except Exception as error:  # datasets and its readers raise more than a dozen kinds
        raise UserError(unreadable(source, path.exists(), error)) from None
    if not len(rows):
        raise UserError(f"the data set {source} is empty: give one with at least one row.")
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
