"""The golden table: our verdicts on it, and the numbers in docs/data.md."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import verifier_table  # noqa: E402


@pytest.fixture(scope="module")
def judged():
    table = verifier_table.rows()
    return table, verifier_table.ours(table)


def test_table_is_large_has_wrong_answers_and_no_row_twice():
    table = verifier_table.rows()
    keys = {(row.form, row.gold, row.completion, row.prompt, row.options, row.kind) for row in table}
    assert len(keys) == len(table) >= 900
    assert 0.4 < sum(not row.right for row in table) / len(table) < 0.5
    assert sum(row.part == "apart" for row in table) == 178


def test_every_verdict_of_the_table_is_ours(judged):
    table, verdicts = judged
    differing = [
        (row.form, row.gold, row.completion) for row, mine in zip(table, verdicts, strict=True) if mine != row.right
    ]
    assert differing == []


def test_docs_hold_the_table_that_the_command_makes(judged):
    table, verdicts = judged
    lines = verifier_table.report(table, {"ours": verdicts}).splitlines()
    docs = verifier_table.DOCS.read_text(encoding="utf-8")
    stored = docs.partition(verifier_table.BEGIN)[2].partition(verifier_table.END)[0].strip().splitlines()
    cut = [line.split("|")[:5] for line in stored]  # form, right, wrong, ours: the other columns take a minute
    assert [line.split("|")[:5] for line in lines][2:] == cut[2:]


def test_rates_tell_a_verifier_that_calls_everything_right_from_one_that_calls_nothing():
    table = verifier_table.rows(("apart",))
    share = sum(row.right for row in table) / len(table)
    assert verifier_table.rates(table, [True] * len(table)) == (share, 1.0)
    assert verifier_table.rates(table, [False] * len(table)) == (None, 0.0)


def test_strings_alone_miss_more_than_we_do():
    table = verifier_table.rows(("apart",))
    precision, recall = verifier_table.rates(table, verifier_table.string_comparison(table))
    assert recall < 0.5
    assert precision is not None
