"""Reading completions of this suite, TRL, verl and lm-eval, and everything that can be wrong with a file."""

import csv
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.inputs import Columns, Completion, Repeated, Unreadable, completions_source, run_source
from rlsd_cli.leakage.inputs.records import completions_of, prompt_of, step_of
from rlsd_cli.verifiers.answers import answer_of


def read(path: Path, **columns: str) -> list:
    return list(completions_source(path, Columns(**columns)).read())


def write_lines(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_trl_logs_are_read_as_texts_and_as_chat_messages(tmp_path):
    (tmp_path / "completions").mkdir()
    table = {"step": [7], "prompt": ["2+2?"], "completion": ["4"], "accuracy_reward": [1.0], "advantage": [0.5]}
    pd.DataFrame(table).to_parquet(tmp_path / "completions" / "completions_00007.parquet")
    chat = {
        "step": [8],
        "prompt": [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]],
        "completion": [[{"role": "assistant", "content": "It is 4."}]],
        "advantage": [0.5],
    }
    pd.DataFrame(chat).to_parquet(tmp_path / "completions" / "completions_00008.parquet")
    rows = read(tmp_path)
    assert [(row.text, row.prompt, row.step) for row in rows] == [
        ("4", "2+2?", 7),
        ("It is 4.", "Be brief.\n2+2?", 8),
    ]
    assert rows[0].source == "completions/completions_00007.parquet"


def test_verl_rollout_dumps_are_read_in_the_order_of_their_steps(tmp_path):
    for step in (10, 9):
        row = {"input": "user\n2+2?\nassistant\n", "output": f"at {step}", "gts": "4", "score": 1.0, "step": step}
        write_lines(tmp_path / f"{step}.jsonl", row)
    rows = read(tmp_path)
    assert [(row.text, row.answer, row.step) for row in rows] == [("at 9", "4", 9), ("at 10", "4", 10)]
    assert rows[0].prompt.startswith("user")


def lm_eval_row(**changes) -> dict:
    row = {
        "doc_id": 0,
        "doc": {"question": "2+2?"},
        "target": "2 and 2 is 4\n#### 4",
        "arguments": {"gen_args_0": {"arg_0": "Question: 2+2?\nAnswer:", "arg_1": {"until": ["\n\n"]}}},
        "resps": [["It is 4.", "It is 5."]],
        "filtered_resps": ["4"],
        "filter": "strict-match",
        "metrics": ["exact_match"],
        "exact_match": 1.0,
    }
    return {**row, **changes}


def test_lm_eval_samples_are_read_once_per_response_whatever_the_filters(tmp_path):
    path = write_lines(tmp_path / "samples_gsm8k_2026.jsonl", lm_eval_row(), lm_eval_row(filter="flexible-extract"))
    rows = read(path)
    texts = [row for row in rows if isinstance(row, Completion)]
    assert [(row.text, row.sample, row.answer) for row in texts] == [("It is 4.", 0, "4"), ("It is 5.", 1, "4")]
    assert texts[0].prompt == "Question: 2+2?\nAnswer:"
    assert texts[0].step is None
    assert [row for row in rows if isinstance(row, Repeated)] == [Repeated(path.name, 2)]


def test_lm_eval_log_likelihoods_hold_no_text_and_are_named(tmp_path):
    path = write_lines(tmp_path / "samples_arc.jsonl", lm_eval_row(resps=[[["-1.5", "True"]], [["-2.5", "False"]]]))
    (row,) = read(path)
    assert isinstance(row, Unreadable)
    assert "log-likelihoods" in row.reason


def test_lm_eval_chat_requests_keep_their_prompt(tmp_path):
    messages = json.dumps([{"role": "user", "content": "2+2?"}])
    path = write_lines(tmp_path / "samples_x.jsonl", lm_eval_row(arguments=[[[messages], {}]]))
    assert "2+2?" in read(path)[0].prompt


def test_csv_with_line_breaks_inside_a_field_is_read_by_record(tmp_path):
    path = tmp_path / "mine.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["question", "response", "answer"], ["2+2?", "It is\n4.", "4"], ["", "5", ""]])
    rows = read(path)
    assert [(row.text, row.prompt, row.answer, row.row) for row in rows] == [
        ("It is\n4.", "2+2?", "4", 2),
        ("5", "", "", 4),
    ]


def test_named_columns_win_over_recognised_ones(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", {"completion": "a", "mine": "b", "ask": "c", "gold_is": 4, "at": "12"})
    (row,) = read(path, completion="mine", prompt="ask", answer="gold_is", step="at")
    assert (row.text, row.prompt, row.answer, row.step) == ("b", "c", "4", 12)


def test_a_step_is_taken_from_the_file_name_where_no_column_has_it(tmp_path):
    write_lines(tmp_path / "step-000012.jsonl", {"completion": "a"})
    write_lines(tmp_path / "other2.jsonl", {"completion": "b"})
    assert {row.text: row.step for row in read(tmp_path)} == {"a": 12, "b": None}


def test_hidden_files_and_earlier_audits_are_no_input(tmp_path):
    write_lines(tmp_path / "a.jsonl", {"completion": "a"})
    write_lines(tmp_path / ".b.jsonl", {"completion": "b"})
    for name in ("leakage", "leakage-audit"):
        (tmp_path / name).mkdir()
        pd.DataFrame({"completion": ["c"]}).to_parquet(tmp_path / name / "hits.parquet")
    assert [row.text for row in read(tmp_path)] == ["a"]


def test_unreadable_json_lines_are_named_with_line_and_reason(tmp_path):
    path = tmp_path / "x.jsonl"
    lines = [
        b'{"completion": "good"}',
        b"",
        b'{"completion": "torn',
        b'{"completion": "caf\xe9"}',
        b"[1, 2]",
        b'{"other": 1}',
        b'{"completion": null}',
        b'{"completion": 3.5}',
        b'{"completion": "x", "step": "soon"}',
        b"[" * 100_000,
        b'{"completion": "good", "step": 3}',
    ]
    path.write_bytes(b"\n".join(lines))
    rows = read(path)
    assert [row.text for row in rows if isinstance(row, Completion)] == ["good", "good"]
    bad = {row.row: row.reason for row in rows if isinstance(row, Unreadable)}
    assert set(bad) == {3, 4, 5, 6, 7, 8, 9, 10}
    assert "JSON" in bad[3]
    assert "UTF-8" in bad[4]
    assert "'completion'" in bad[6]


def test_a_step_that_is_no_number_makes_the_row_unreadable(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", {"completion": "a", "step": 1}, {"completion": "b", "step": "soon"})
    good, bad = read(path)
    assert good.step == 1
    assert "soon" in bad.reason


def test_csv_rows_of_the_wrong_width_or_encoding_are_named(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"completion,step\ngood,1\nlonely\ncaf\xe9,2\nfine,3\n")
    rows = read(path)
    assert [row.text for row in rows if isinstance(row, Completion)] == ["good", "fine"]
    assert {row.row: row.reason for row in rows if isinstance(row, Unreadable)} == {
        3: "it has 1 fields and the header 2",
        4: "it is not UTF-8",
    }


def test_a_quote_left_open_is_told_with_the_lines_that_it_swallowed(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('completion,step\ngood,1\n"open,2\nlost,3\n')
    rows = read(path)
    assert [row.reason for row in rows if isinstance(row, Unreadable)] == [
        "it has 1 fields and the header 2 up to line 4 (is a quote left open?)"
    ]


def test_parquet_text_that_is_not_utf8_makes_only_its_row_unreadable(tmp_path):
    raw = pa.array([b"good", b"caf\xe9", b"fine"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    parquet.write_table(pa.table({"completion": text}), tmp_path / "x.parquet")
    rows = read(tmp_path / "x.parquet")
    assert [row.text for row in rows if isinstance(row, Completion)] == ["good", "fine"]
    assert [(row.row, row.reason) for row in rows if isinstance(row, Unreadable)] == [(2, "it is not UTF-8")]


def test_a_damaged_file_among_others_is_named_and_alone_is_an_error(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(UserError, match=r"a\.parquet cannot be read"):
        read(tmp_path / "a.parquet")
    write_lines(tmp_path / "b.jsonl", {"completion": "good"})
    bad, good = read(tmp_path)
    assert (bad.source, bad.row) == ("a.parquet", 0)
    assert good.text == "good"


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_utf16_is_refused_in_one_sentence_that_says_what_to_do(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_text('{"completion": "a"}\n', encoding="utf-16")
    with pytest.raises(UserError, match="UTF-8") as error:
        read(path)
    assert str(error.value).count(". ") == 0


def test_a_utf8_byte_order_mark_is_no_obstacle(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"completion": "a"}\n', encoding="utf-8-sig")
    (tmp_path / "y.csv").write_text("completion\nb\n", encoding="utf-8-sig")
    assert [row.text for row in read(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"completion": "nope"}, "no column 'nope': it has text_out, step"),
        ({"step": "nope"}, "no column 'nope'"),
        ({}, "name the column with --column"),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_missing_column_is_told_with_the_columns_that_are_there(tmp_path, columns, message, kind):
    frame = pd.DataFrame({"text_out": ["a"], "step": [1]})
    path = tmp_path / f"x.{kind}"
    if kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    with pytest.raises(UserError, match=message):
        read(path, **columns)


def test_paths_that_hold_nothing_are_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        completions_source(tmp_path / "missing", Columns())
    with pytest.raises(UserError, match="holds no file of completions"):
        completions_source(tmp_path, Columns())
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(UserError, match="convert it"):
        completions_source(tmp_path / "x.txt", Columns())
    with pytest.raises(UserError, match="not a run directory"):
        run_source(tmp_path)


def test_values_of_other_tools_become_text():
    assert completions_of(["a", "b"]) == [("a", ""), ("b", "")]
    assert completions_of([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]) == [("a", "q")]
    blocks = [{"type": "image"}, {"type": "text", "text": "seen"}]
    assert completions_of([{"role": "assistant", "content": blocks}]) == [("seen", "")]
    thought = {"role": "assistant", "reasoning_content": "hm", "content": "a"}
    assert completions_of(thought) == [("hm\na", "")]
    assert prompt_of(None) == ""
    assert answer_of({"ground_truth": 4}) == "4"
    assert answer_of(["4"]) == "4"
    assert answer_of(["4", "5"]) == "4"
    assert step_of("3.0") == 3
    assert step_of(None) is None


def test_lone_surrogates_become_question_marks(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"completion": "a\\ud800b"}\n')
    assert read(path)[0].text == "a?b"


def test_parquet_is_read_in_batches_and_numbered_through(tmp_path):
    frame = pd.DataFrame({"completion": [f"text {i}" for i in range(700)], "unused": ["x" * 100] * 700})
    frame.to_parquet(tmp_path / "x.parquet")
    rows = read(tmp_path / "x.parquet")
    assert [row.row for row in rows] == list(range(1, 701))
    assert rows[-1].text == "text 699"
