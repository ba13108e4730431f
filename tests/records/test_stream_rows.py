"""Every kind of file gives its rows, or says in a sentence what is wrong with it and where."""

import gzip
import io
import json
import os

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from pyarrow import parquet

from rlsd_cli.errors import UserError
from rlsd_cli.records import Damage, Kind, RowError, files_in, is_missing, kind_of, refuse_url, stream_rows

ROWS = [{"q": "one?", "n": "1"}, {"q": "two\nlines, “quoted”", "n": "2"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def separated(mark: str) -> bytes:
    return f'q{mark}n\r\none?{mark}1\r\n"two\nlines, “quoted”"{mark}2\r\n'.encode()


def packed(data: bytes) -> dict[str, bytes]:
    return {"": data, ".gz": gzip.compress(data, mtime=0), ".zst": pa.compress(data, "zstd", asbytes=True)}


def rows_of(path, **options):
    return [row for _, row in stream_rows(path, **options)]


@pytest.mark.parametrize("pack", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".jsonl", LINES),
        (".ndjson", LINES.replace(b"\n", b"\r\n")),
        (".JSONL", b"\xef\xbb\xbf" + LINES.rstrip()),
        (".json", LINES),
        (".json", json.dumps(ROWS).encode()),
        (".json", b"\xef\xbb\xbf" + json.dumps(ROWS, indent=4).encode()),
        (".jsonl", json.dumps(ROWS, indent=1).encode()),
        (".json", "\n".join(json.dumps(row, indent=2) for row in ROWS).encode()),
        (".csv", separated(",")),
        (".Csv", b"\xef\xbb\xbf" + separated(",")),
        (".tsv", separated("\t")),
    ],
)
def test_the_same_rows_come_out_of_every_kind(tmp_path, suffix, data, pack):
    path = tmp_path / f"rows{suffix}{pack.upper() if suffix.isupper() else pack}"
    path.write_bytes(packed(data)[pack])
    assert rows_of(path) == ROWS


def test_parquet_and_arrow_give_the_rows_and_only_the_columns_that_are_wanted(tmp_path):
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.PARQUET")
    Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    for path in (tmp_path / "rows.PARQUET", *files_in(tmp_path / "saved")):
        assert rows_of(path) == ROWS
        assert rows_of(path, select=lambda names: names[1:]) == [{"n": "1"}, {"n": "2"}]


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize(
    "kind", [Kind("json"), Kind("csv"), Kind("json", "gzip"), Kind("json", "zstd"), Kind("parquet")]
)
def test_a_stream_is_read_as_a_file_is(kind, seekable):
    table = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(ROWS), table)
    packs = {None: "", "gzip": ".gz", "zstd": ".zst"}
    plain = {"json": LINES, "csv": separated(","), "parquet": table.getvalue()}[kind.format]
    data = packed(plain)[packs[kind.compression]]
    if seekable:
        source = io.BytesIO(data)
    else:
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        source = os.fdopen(reader, "rb")
    with source:
        assert [row for _, row in stream_rows(source, kind)] == ROWS


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", LINES.decode().encode("utf-16"), "UTF-16: convert it to UTF-8"),
        ("a.csv", separated(",").decode().encode("utf-16-le"), "UTF-16"),
        ("a.jsonl", LINES.decode().encode("utf-32"), "UTF-32"),
        ("a.json", b"", "it is empty"),
        ("a.parquet", b"", "it is empty"),
        ("a.csv", b"q;n\n1;2\n", "separated by semicolons and not by commas"),
        ("a.csv", b"q|n\n1|2\n", "separated by vertical bars"),
        ("a.csv", b"q\tn\n1\t2\n", "name it .tsv"),
        ("a.tsv", b"q,n\n1,2\n", "name it .csv"),
        ("a.csv", b"q,n,q\n1,2,3\n", "2 columns named 'q'"),
        ("a.csv", b"\n\n", "no header line"),
        ("a.csv", "größe,n\n1,2\n".encode("latin-1"), "header line is not UTF-8"),
        ("a.json", b'[{"q": 1}, {"q": 2', "ends in the middle of row 2"),
        ("a.json", b'[{"q": 1},\n {"q": oops}, {"q": 3}]', r"row 2 is no JSON \(line 2\)"),
        ("a.json", b'[{"q": 1}, {"q": "caf\xe9"}]', "not UTF-8 in line 1"),
        ("a.json", b'[{"q": 1, "q": 2}]', "row 1 has the key 'q' twice"),
        ("a.parquet", b"PAR1 and no more", "no readable parquet file"),
        ("a.arrow", b"nothing of the kind", "no readable arrow file"),
        ("a.jsonl", gzip.compress(LINES, mtime=0), "let its name end in .gz"),
        ("a.jsonl.gz", LINES, "no whole gzip file"),
        ("a.jsonl.gz", gzip.compress(LINES * 50, mtime=0)[:-9], "no whole gzip file"),
        ("a.csv.zst", pa.compress(separated(",") * 50, "zstd", asbytes=True)[:-6], "no whole zstd file"),
        ("a.csv", b"PK\x03\x04\x14\x00", "Excel workbook"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        ("a.json", b"<!doctype html>\n<html>", "a web page"),
        ("a.txt", b"q", "none of .jsonl"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Damage, match=words):
        rows_of(tmp_path / name)


def test_two_columns_of_one_name_are_named_in_parquet_too(tmp_path):
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(Damage, match="2 columns named 'text'"):
        rows_of(tmp_path / "a.parquet")


def test_a_bad_line_is_told_with_its_number_and_the_others_are_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"n": 1}\n\n{"n": "torn\n{"n": 4, "n": 5}\n[6]\n{"n": "\xe9"}\n{"n": 8} {"n": 9}\n{"n": 10}\n{"n'
    )
    found = dict(stream_rows(path))
    assert {number: row for number, row in found.items() if isinstance(row, dict)} == {1: {"n": 1}, 8: {"n": 10}}
    reasons = {number: str(row) for number, row in found.items() if isinstance(row, RowError)}
    assert list(reasons) == [3, 4, 5, 6, 7, 9]
    assert reasons[4] == "it has the key 'n' twice"
    assert reasons[6] == "it is not UTF-8"


def test_a_torn_first_line_does_not_hide_the_others(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": "torn\n{"n": 2}\n{"n": 3}\n')
    assert [number for number, row in stream_rows(path) if isinstance(row, dict)] == [2, 3]


def test_a_long_list_is_read_without_being_held(tmp_path):
    # 40,000 objects of about 1 kB: one piece of 64 kB at a time is in memory, so the peak stays far below the file.
    import tracemalloc

    path = tmp_path / "a.json"
    path.write_text("[" + ",\n".join(json.dumps({"n": n, "text": "x" * 1000}) for n in range(40_000)) + "]")
    tracemalloc.start()
    assert sum(row["n"] for _, row in stream_rows(path)) == 40_000 * 39_999 // 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 5


def test_files_of_a_folder_are_listed_by_kind_whatever_lies_beside_them(tmp_path):
    for name, data in {
        "10.jsonl": LINES,
        "9.JSONL": LINES,
        "b.csv.gz": gzip.compress(separated(","), mtime=0),
        "._b.csv.gz": b"\x00\x05\x16\x07",
        "list.json": json.dumps(ROWS).encode(),
        "settings.json": json.dumps({"seed": 1}, indent=2).encode(),
        "notes.txt": b"hello",
        ".hidden/a.jsonl": LINES,
        "leakage/hits.jsonl": LINES,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    data = Dataset.from_list(ROWS)
    DatasetDict({"train": data, "test": data}).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "train" / "cache-0a1b.arrow").write_bytes(b"left by map")
    shard = "data-00000-of-00001.arrow"
    assert [str(path.relative_to(tmp_path)) for path in files_in(tmp_path, without={"leakage"})] == [
        "9.JSONL",
        "10.jsonl",
        "b.csv.gz",
        "list.json",
        f"saved/test/{shard}",
        f"saved/train/{shard}",
    ]


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("https://example.org/a.jsonl", "download it"),
        ("https:/example.org/a.jsonl", "download it"),
        ("s3://bucket/a.parquet", "download it"),
        ("hf://datasets/a/b", "download it"),
        ("FILE:///tmp/a.csv", "without file://"),
    ],
)
def test_addresses_are_refused_as_such(source, advice):
    with pytest.raises(UserError, match=f"is an address .*{advice}"):
        refuse_url(source, "the data set")


@pytest.mark.parametrize("source", ["a.jsonl", "/tmp/a:b.csv", "owner/name", "C:/a.csv", "s3/a.csv", "file:a.csv"])
def test_paths_are_no_addresses(source):
    refuse_url(source, "the data set")


def test_kinds_are_told_by_the_suffix_alone():
    assert kind_of("a.tar.JSONL.GZ") == Kind("json", "gzip")
    assert kind_of("a.parquet.gz") is None
    assert kind_of("a.gz") is None
    assert kind_of("jsonl") is None


@pytest.mark.parametrize("value", [None, float("nan"), "", " \n", "nan", "NaN", "NaT", "<NA>"])
def test_a_missing_value_is_missing_in_every_dress(value):
    import numpy as np
    import pandas as pd

    assert is_missing(value)
    assert all(map(is_missing, (np.float32("nan"), np.datetime64("NaT"), pd.NaT, pd.NA)))


@pytest.mark.parametrize("value", [0, 0.0, False, "0", "None", "N/A", [], {}, b"", [float("nan")]])
def test_other_values_are_not_missing(value):
    assert not is_missing(value)
