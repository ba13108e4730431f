"""A benchmark's rows with values of other kinds are named before anything is sampled; NaN is a missing value."""

import json

import pytest
from PIL import Image

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks.suites import load_suite

ROW = {
    "pid": "1",
    "question": "How many?",
    "query": "How many?",
    "choices": None,
    "precision": 1.0,
    "answer": "3",
    "answer_type": "integer",
    "metadata": {"task": "counting"},
    "decoded_image": "a.png",
}


@pytest.fixture
def copy(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")

    def write(**changes):
        path = tmp_path / "copy.jsonl"
        path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "pid": "2", **changes}) + "\n")
        return str(path)

    return write


@pytest.mark.parametrize("column", ["choices", "precision", "metadata", "query"])
def test_nan_as_pandas_writes_it_is_no_value(copy, column):
    first, second = load_suite("mathvista", copy(**{column: float("nan")}))
    assert second.prompt[0]["content"][1] == first.prompt[0]["content"][1]
    assert second.meta["options"] == []


@pytest.mark.parametrize(
    "change", [{"choices": 5}, {"precision": "two"}, {"metadata": "counting"}, {"query": ["a"]}, {"query": {"a": 1}}]
)
def test_a_value_of_another_kind_is_told_with_its_row(copy, change):
    with pytest.raises(UserError, match=r"row 1 of .*copy\.jsonl has a .*: fix or drop that row"):
        load_suite("mathvista", copy(**change))


def test_the_rows_number_stays_with_the_question(copy):
    assert [example.meta["row"] for example in load_suite("mathvista", copy())] == [0, 1]
