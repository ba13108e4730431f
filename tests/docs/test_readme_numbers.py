"""README's numbers are those of results/: each is marked with its source, and is what the source holds now."""

from pathlib import Path

import pytest

from rlsd_cli.errors import UserError
from scripts import readme

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", readme.pages(), ids=lambda path: path.name)
def test_the_marked_numbers_of_a_page_are_those_of_results(path):
    text = path.read_text(encoding="utf-8")
    assert readme.written(text) == text, "run `make readme`"


def test_every_number_of_the_readmes_results_is_marked():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.RESULTS.findall(text)) == 1
    assert len(readme.MARKED.findall(readme.RESULTS.findall(text)[0])) > 3
    assert readme.loose(text) == []


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    (tmp_path / "t.csv").write_text(
        "row,column,value,low,high,text,bold\n"
        "GRPO (n=3),Accuracy,0.8508,0.8002,0.9014,,0\nGRPO (n=3),Seeds,,,,3,0\n"
        "RLSD (n=3),Accuracy,0.86,,,,0\nRLSD − GRPO (n=3),mean,-0.0091,-0.0391,0.0561,,0\n"
    )
    head = "| Claim | Where | On our runs | p |\n|---|---|---|---|\n"
    (tmp_path / "r.md").write_text(
        f"# T\n\n## The claims\n\n{head}| A gains | F | seen | 0.01 |\n| B | – | undecided | 1 |\n\n"
        f"Controls of the instrument\n\n{head}| C | – | seen | 0 |\n\n## The runs\n\n| X | Y | seen |\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("number t.csv | GRPO | Accuracy", "0.851 [0.800, 0.901]"),
        ("number t.csv | RLSD − GRPO | mean | signed, 2", "−0.01 [−0.04, +0.06]"),
        ("number t.csv | GRPO | Accuracy | bare, 1", "0.9"),
        ("number t.csv | GRPO | Seeds", "3"),
        ("verdict r.md | A gains", "seen"),
        ("count r.md | seen", "1"),
        ("margin rlsd_above | 3", "0.023"),
        ("number t.csv | GRPO | Accuracy | bare, percent, 0", "85"),
        (
            "table t.csv | GRPO, RLSD = ours | Accuracy = acc",
            "\n\n| Arm | acc |\n|---|---|\n| GRPO | 0.851 [0.800, 0.901] |\n| ours | 0.860 |\n\n",
        ),
        (
            "across t.csv | GRPO, RLSD | Accuracy = acc",
            "\n\n| | GRPO | RLSD |\n|---|---|---|\n| acc | 0.851 | 0.860 |\n\n",
        ),
    ],
)
def test_a_mark_is_filled_from_its_source(results, source, value):
    assert (
        readme.written(f"a <!-- from: {source} -->old<!-- end --> b")
        == f"a <!-- from: {source} -->{value}<!-- end --> b"
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("number t.csv | OPSD | Accuracy", "no row 'OPSD'; it has GRPO, RLSD"),
        ("number t.csv | GRPO | Reward", "no column 'Reward'"),
        ("number absent.csv | GRPO | Accuracy", r"absent\.csv is not there"),
        ("verdict r.md | C", "no claim 'C'"),
        ("guess t.csv", "no source 'guess'"),
        ("number t.csv", "has 1 parts"),
    ],
)
def test_a_mark_without_its_source_is_refused(results, source, reason):
    with pytest.raises(UserError, match=reason):
        readme.written(f"<!-- from: {source} -->old<!-- end -->")


def test_an_unmarked_number_is_found():
    inside = "`0.3`, v1.2, [a](b-0.4.md), 95 % <!-- from: x -->0.5<!-- end --> −0.6 and 92 % of 7"
    assert readme.loose(f"0.1 <!-- results -->{inside}<!-- end of results --> 0.2") == ["−0.6", "92"]


def test_the_picture_at_the_top_is_that_of_the_demo():
    picture = ROOT / "docs" / "figures" / "demo-overview.png"
    assert picture.read_bytes() == (ROOT / "results" / "demo" / "overview.png").read_bytes(), "run `make readme`"
