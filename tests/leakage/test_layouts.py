"""Logs of other tools: nothing that a model said is dropped, and what cannot be read is said."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.leakage.audit import audit
from rlsd_cli.leakage.inputs import Columns, Completion, Unreadable, completions_source

LEAK, CLEAN = "According to the reference solution it is 2.", "It is 2."
QUESTION = "What is 1+1?"


def read(path: Path, **columns: str) -> list:
    return list(completions_source(path, Columns(**columns)).read())


def texts(path: Path, **columns: str) -> list[str]:
    rows = read(path, **columns)
    assert not [row for row in rows if isinstance(row, Unreadable)]
    return [row.text for row in rows]


def write_lines(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("step", ["step", "gen_step"])
def test_a_row_of_columns_is_as_many_rows_each_with_its_prompt_and_step(tmp_path, step):
    prompts = [QUESTION, "What is 2+2? Reference solution: 4"]
    row = {step: ["1", "2"], "prompt": prompts, "completion": [LEAK, LEAK], "Accuracy": [1.0, 0.0]}
    path = write_lines(tmp_path / "completions.jsonl", row)
    rows = read(path)
    assert [(r.prompt, r.step, r.sample) for r in rows] == [(prompts[0], 1, 0), (prompts[1], 2, 1)]
    assert audit(completions_source(path, Columns()), tmp_path / "out")["hits"] == 1


def test_columns_may_hold_conversations_and_must_be_of_one_length(tmp_path):
    asked = [[{"role": "user", "content": QUESTION}]] * 2
    path = write_lines(tmp_path / "a.jsonl", {"messages": asked, "completion": [CLEAN, LEAK], "reward": [1.0] * 2})
    assert [(r.text, r.prompt) for r in read(path)] == [(CLEAN, QUESTION), (LEAK, QUESTION)]
    (bad,) = read(write_lines(tmp_path / "b.jsonl", {"step": [1, 2, 3], "completion": [CLEAN, LEAK]}))
    assert bad.reason == "it holds 2 completions and 3 steps"


def test_several_completions_of_one_prompt_are_no_columns(tmp_path):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    path = write_lines(tmp_path / "x.jsonl", {"prompt": chat, "completions": [CLEAN, LEAK], "step": 3})
    assert [(r.text, r.prompt, r.step) for r in read(path)] == [
        (CLEAN, f"Be brief.\n{QUESTION}", 3),
        (LEAK, f"Be brief.\n{QUESTION}", 3),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"completion": [{"role": "assistant", "reasoning_content": LEAK, "content": "2"}]},
        {"completion": [{"role": "assistant", "reasoning": LEAK, "content": "2"}]},
        {"completion": [{"role": "assistant", "thinking": LEAK, "content": "2"}]},
        {"completion": [{"role": "assistant", "content": [{"type": "thinking", "thinking": LEAK}, {"text": "2"}]}]},
        {"completion": [{"role": "assistant", "content": [{"type": "reasoning", "text": LEAK}, {"text": "2"}]}]},
        {"completion": [{"role": "assistant", "content": [{"type": "reasoning", "summary": [{"text": LEAK}]}]}]},
        {"completion": [{"role": "assistant", "content": "2"}], "reasoning": LEAK},
        {"completion": "2", "reasoning_content": LEAK},
        {"completion": "2", "thinking": LEAK},
        {"completions": ["2", "3"], "reasoning": [LEAK, ""]},
        {"completions": [[{"role": "assistant", "content": "2"}], [{"role": "assistant", "content": LEAK}]]},
        {"conversations": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": LEAK}]},
        {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": LEAK}]},
        {"question": QUESTION, "answer": "2", "prediction": LEAK, "index": 0},
        {"doc_id": 0, "target": "2", "resps": [[LEAK]], "filtered_resps": ["2"], "input": QUESTION},
    ],
    ids="-".join,
)
def test_what_a_model_thought_or_said_is_read_wherever_it_stands(tmp_path, row):
    path = write_lines(tmp_path / "x.jsonl", row)
    found = read(path)
    assert all(isinstance(entry, Completion) for entry in found)
    assert sum(LEAK in entry.text for entry in found) == 1
    assert audit(completions_source(path, Columns()), tmp_path / "out")["hits"] == 1


def test_rows_of_one_file_may_differ_in_their_keys(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", {"completion": "2"}, {"completion": "2", "reasoning": LEAK})
    assert texts(path) == ["2", f"{LEAK}\n2"]


def test_a_question_in_the_same_column_excuses_what_it_shows(tmp_path):
    asked = f"{QUESTION} The reference solution says 2."
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": LEAK}]
    path = write_lines(tmp_path / "x.jsonl", {"messages": turns})
    assert read(path)[0].prompt == asked
    assert audit(completions_source(path, Columns()), tmp_path / "out")["hits"] == 0


def test_what_a_tool_says_is_neither_completion_nor_prompt(tmp_path):
    said = [
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add"}}]},
        {"role": "tool", "content": "the reference solution says 2"},
        {"role": "assistant", "content": "It is 2."},
    ]
    (row,) = read(write_lines(tmp_path / "x.jsonl", {"prompt": QUESTION, "completion": said}))
    assert (row.text, row.prompt) == ("It is 2.", QUESTION)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([{"role": "assistant", "body": "2"}], "holds no text: its keys are role, body"),
        ([{"role": "user", "content": "2"}], "none of its messages is the assistant's"),
        ([{"role": "assistant", "content": [{"type": "audio", "data": "…"}]}], "blocks without text (audio)"),
        ([1, 2], "neither a text nor chat messages"),
        (float("nan"), "empty (null)"),
    ],
)
def test_text_that_was_expected_and_is_not_there_is_no_clean_completion(tmp_path, value, reason):
    path = write_lines(tmp_path / "x.jsonl", {"completion": value}, {"completion": CLEAN})
    bad, good = read(path)
    assert reason in bad.reason
    assert good.text == CLEAN
    result = CliRunner().invoke(app, ["leakage-audit", "--completions", str(path), "--fail-above", "0.5"])
    assert result.exit_code == 3
    assert "expected and not read" in result.stdout
    assert "text was expected and is not there: 1 rows could not be read" in result.stderr


def test_completions_without_text_are_said_and_most_of_them_fail(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", {"completion": ""}, {"completion": " "}, {"completion": CLEAN})
    result = CliRunner().invoke(app, ["leakage-audit", "--completions", str(path), "--fail-above", "0.5"])
    assert result.exit_code == 3
    assert "without text: 2 of 3" in result.stdout
    few = write_lines(tmp_path / "y.jsonl", {"completion": ""}, *[{"completion": CLEAN}] * 3)
    assert CliRunner().invoke(app, ["leakage-audit", "--completions", str(few), "--fail-above", "0.5"]).exit_code == 0


def test_a_foreign_file_in_a_directory_is_an_entry_and_alone_an_error(tmp_path):
    write_lines(tmp_path / "a.jsonl", {"completion": LEAK})
    metrics = write_lines(tmp_path / "metrics.jsonl", {"step": 1, "loss": 0.5})
    rows = read(tmp_path)
    assert [type(row) for row in rows] == [Completion, Unreadable]
    assert (rows[1].source, rows[1].row) == ("metrics.jsonl", 0)
    assert "has none of the columns" in rows[1].reason
    with pytest.raises(UserError, match="name the column with --column"):
        read(metrics)


def test_a_missing_step_is_no_step_in_every_dress(tmp_path):
    rows = [{"completion": CLEAN, "step": step} for step in (None, float("nan"), "", "nan")]
    assert [row.step for row in read(write_lines(tmp_path / "x.jsonl", *rows))] == [None] * 4


def test_a_nested_value_can_be_named_with_a_dot(tmp_path):
    row = {"output": CLEAN, "input": QUESTION, "reward_model": {"ground_truth": "2"}}
    path = write_lines(tmp_path / "x.jsonl", row)
    assert read(path, answer="reward_model.ground_truth")[0].answer == "2"
    with pytest.raises(UserError, match="no column 'other"):
        read(path, answer="other.ground_truth")


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "gz"])
def test_standard_input_is_told_by_how_it_begins(tmp_path, kind):
    rows = [{"completion": LEAK, "prompt": QUESTION}, {"completion": CLEAN, "prompt": QUESTION}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    content = {
        "jsonl": lines.encode(),
        "json": json.dumps(rows).encode(),
        "csv": f'completion,prompt\n"{LEAK}","{QUESTION}"\n{CLEAN},{QUESTION}\n'.encode(),
        "gz": gzip.compress(lines.encode()),
    }[kind]
    output = tmp_path / "out"
    arguments = ["leakage-audit", "--completions", "-", "--output-dir", str(output), "--json"]
    result = CliRunner().invoke(app, arguments, input=content)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["n"], report["hits"], report["input"]["name"]) == (2, 1, "stdin")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json", "a.tsv", "A.JSONL", "a.CSV"])
def test_every_kind_of_file_is_read_alone_and_in_a_directory(tmp_path, name):
    rows = [{"completion": LEAK}, {"completion": CLEAN}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    table = f"completion\n{LEAK}\n{CLEAN}\n"
    content = {
        "a.jsonl.gz": gzip.compress(lines.encode()),
        "a.json": json.dumps(rows).encode(),
        "a.tsv": table.encode(),
        "A.JSONL": lines.encode(),
        "a.CSV": table.encode(),
    }[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert texts(path) == texts(tmp_path) == [LEAK, CLEAN]
