"""Tables by row number: the same rows whatever they were read from, and one rule for folders and files."""

import gzip
import json
import pickle

import datasets
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from rlsd_cli.config.data import DataConfig
from rlsd_cli.errors import UserError
from rlsd_cli.tasks.dataset import DatasetTask
from rlsd_cli.tasks.source import load_rows

ROWS = [{"prompt": "1+1=", "answer": "2"}, {"prompt": "2+2=", "answer": "4"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
FILES = {
    "a.jsonl": LINES.encode(),
    "A.JSONL": LINES.encode(),
    "a.jsonl.gz": gzip.compress(LINES.encode(), mtime=0),
    "a.jsonl.zst": pa.compress(LINES.encode(), "zstd", asbytes=True),
    "a.json": json.dumps(ROWS, indent=2).encode(),
    "a.csv": b"prompt,answer\n1+1=,2\n2+2=,4\n",
    "a.tsv": b"prompt\tanswer\n1+1=\t2\n2+2=\t4\n",
}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def listed(table):
    return [dict(table[index]) for index in range(len(table))]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_alike_alone_and_in_a_folder(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    (tmp_path / f"._{name}").write_bytes(b"\x00\x05\x16\x07")
    for source in (tmp_path / name, tmp_path):
        table = load_rows(str(source))
        assert listed(table) == ROWS
        assert list(table["answer"]) == ["2", "4"]


def test_a_folder_may_mix_kinds_and_its_file_names_say_the_splits(tmp_path):
    (tmp_path / "one.jsonl").write_text('{"prompt": "1+1=", "answer": 2}\n')
    parquet.write_table(pa.table({"prompt": ["2+2="], "id": ["x"]}), tmp_path / "two.parquet")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "three.csv").write_text("prompt,answer\n3+3=,6\n")
    assert listed(load_rows(str(tmp_path))) == [
        {"prompt": "1+1=", "answer": 2, "id": None},
        {"prompt": "2+2=", "answer": None, "id": "x"},
    ]
    assert list(load_rows(str(tmp_path))["answer"]) == [2, None]
    assert listed(load_rows(str(tmp_path), "test")) == [{"prompt": "3+3=", "answer": "6"}]


def test_folders_that_save_to_disk_wrote_are_read(tmp_path):
    data = datasets.Dataset.from_list(ROWS)
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(tmp_path / "dict")
    for source in ("one", "dict", "dict/train", "dict/train/data-00000-of-00001.arrow"):
        assert listed(load_rows(str(tmp_path / source))) == ROWS
    assert listed(load_rows(str(tmp_path / "dict"), "test")) == ROWS[1:]
    with pytest.raises(UserError, match="has no split 'dev'; it has: train, test"):
        load_rows(str(tmp_path / "dict"), "dev")


def test_a_column_that_is_null_for_long_and_then_text_is_read(tmp_path):
    # 12 MB of nulls: readers that take the type of a column from the first 10 MB take it for a column without values.
    path = tmp_path / "late.jsonl"
    with path.open("w") as file:
        for _ in range(1200):
            file.write(json.dumps({"prompt": "x" * 10_000, "answer": "1", "solution": None}) + "\n")
        file.write('{"prompt": "y", "answer": "1", "solution": "late"}\n')
    assert load_rows(str(path))[1200]["solution"] == "late"


def test_values_keep_their_types_whatever_the_other_rows_hold(tmp_path):
    answers = [1, "1", 1.5, True, None, ["a", 2], {"b": [None]}, "\ud800", 2**70]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"answer": answer}) + "\n" for answer in answers))
    table = load_rows(str(path))
    assert list(table["answer"]) == answers
    assert pickle.loads(pickle.dumps(table))[5] == {"answer": ["a", 2]}


def test_a_column_is_read_whole_whatever_the_lengths_of_the_rows(tmp_path, monkeypatch):
    # Blocks of 64 bytes: some hold several rows, some a part of one.
    monkeypatch.setattr("rlsd_cli.records.table.BLOCK", 64)
    rows = [{"answer": "x" * (index * 37 % 200), "n": index} for index in range(100)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = load_rows(str(tmp_path / "a.jsonl"))
    assert list(table["answer"]) == [row["answer"] for row in rows]
    assert listed(table) == rows


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", LINES.encode() + b'{"prompt": "3', r"line 3 of .*a\.jsonl cannot be read: it is no JSON; fix or"),
        ("a.csv", b"prompt,answer\n1,2\n3\n", r"line 3 of .*a\.csv cannot be read: it has 1 fields and the header 2"),
        ("a.csv", b"prompt;answer\n1;2\n", "separated by semicolons"),
        ("a.jsonl", LINES.encode("utf-16"), r"data set .*a\.jsonl cannot be read: it is UTF-16"),
        ("a.csv", b"prompt,answer\n", "is empty"),
        ("a.xlsx", b"PK", "is no data set: give a file of .jsonl"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=words):
        load_rows(str(tmp_path / name))


def test_two_parquet_columns_of_one_name_are_named_without_the_librarys_words(tmp_path, capfd):
    parquet.write_table(
        pa.table([pa.array(["a"]), pa.array(["b"])], names=["answer", "answer"]), tmp_path / "a.parquet"
    )
    with pytest.raises(UserError, match=r"a\.parquet cannot be read: it has 2 columns named 'answer': rename"):
        load_rows(str(tmp_path / "a.parquet"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("source", ["https://example.org/a.jsonl", "s3://bucket/data", "file:///tmp/a.csv"])
def test_an_address_is_no_data_set(source):
    with pytest.raises(UserError, match="is an address"):
        load_rows(source)


def test_a_missing_file_is_not_looked_for_on_the_hub():
    with pytest.raises(UserError, match=r"questions\.csv does not exist"):
        load_rows("questions.csv")


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "values"])
def test_the_ways_in_which_pandas_writes_json_are_told_apart_from_rows(tmp_path, orient):
    pd.DataFrame(ROWS).to_json(tmp_path / "a.json", orient=orient)
    with pytest.raises(UserError, match=r"a\.json cannot be read: it is (one object|no JSON object)"):
        DatasetTask(DataConfig(path=str(tmp_path / "a.json"), held_out=0))
    pd.DataFrame(ROWS).to_json(tmp_path / "b.json", orient="records")
    assert len(DatasetTask(DataConfig(path=str(tmp_path / "b.json"), held_out=0)).training) == 2


def test_an_object_of_columns_is_told_as_such_and_a_single_chat_is_a_row(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"prompt": ["1+1=", "2+2="], "answer": ["2", "4"]}))
    with pytest.raises(UserError, match="one object of columns: write an object per row"):
        DatasetTask(DataConfig(path=str(tmp_path / "a.json"), held_out=0))
    (tmp_path / "b.json").write_text(json.dumps({"prompt": [{"role": "user", "content": "1+1="}], "answer": ["2"]}))
    assert DatasetTask(DataConfig(path=str(tmp_path / "b.json"), held_out=0)).train_example(0, 0).answer == "2"


def test_text_that_a_parquet_file_calls_binary_is_text(tmp_path):
    table = pa.table({"prompt": [b"gr\xc3\xb6sser?"], "answer": [b"4"], "id": [b"x"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    example = DatasetTask(DataConfig(path=str(tmp_path / "a.parquet"), held_out=0, instruction="")).train_example(0, 0)
    assert (example.prompt[0]["content"], example.answer, example.id) == ("grösser?", "4", "x")


def test_a_table_without_rows_is_told_in_our_words_only(tmp_path, capfd):
    parquet.write_table(pa.table({"prompt": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet cannot be read: it has no rows"):
        load_rows(str(tmp_path / "a.parquet"))
    assert capfd.readouterr().err == ""


def test_a_folder_of_images_with_metadata_is_read_with_its_images(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "prompt": "?", "answer": "1"}\n')
    config = DataConfig(path=str(tmp_path), held_out=0, columns={"images": "image"})
    assert DatasetTask(config).train_example(0, 0).images[0].size == (8, 6)


def test_a_question_that_is_missing_stops_the_run_before_it_begins(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "1+1=", "answer": "2"}\n{"prompt": NaN, "answer": "3"}\n')
    with pytest.raises(UserError, match=r"row 1 of .* has an empty prompt in column 'prompt'"):
        DatasetTask(DataConfig(path=str(tmp_path / "a.jsonl"), held_out=0))
