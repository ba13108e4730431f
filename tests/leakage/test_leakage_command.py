"""`rlsd leakage-audit` from the command line: what it prints, writes, and exits with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import RunDir, write_parquet, write_text

LABELLED = Path(__file__).parent / "labelled"
LEAK, CLEAN = "1 + 1 = 2 ; the reference says 2 + 2 = 4 ; answer 4", "1 + 1 = 2 ; 2 + 2 = 4 ; answer 4"


def make_run(path: Path, *leaks_by_step: int) -> Path:
    run = RunDir(path)
    write_text(run.config_file, "method: opsd\n")
    run.write_status(schema_version=1, state="complete", step=len(leaks_by_step), steps=len(leaks_by_step))
    for step, leaks in enumerate(leaks_by_step, 1):
        texts = [LEAK] * leaks + [CLEAN] * (20 - leaks)
        frame = pd.DataFrame({"step": step, "prompt": "question 1 + 1 + 2 ?", "completion": texts, "answer": "4"})
        write_parquet(run.completions_dir / f"step-{step:06d}.parquet", frame)
    return path


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["leakage-audit", *map(str, arguments)])


def sentence(*arguments: object) -> str:
    """The one sentence that a wrong call ends with."""
    result = invoke(*arguments)
    assert isinstance(result.exception, UserError), result.output
    text = str(result.exception)
    assert "\n" not in text
    return text


def test_a_run_is_audited_into_its_own_directory(tmp_path):
    run = make_run(tmp_path / "run", 1, 9)
    result = invoke(run)
    assert result.exit_code == 0
    assert {path.name for path in (run / "leakage").iterdir()} == {"report.json", "hits.parquet", "report.html"}
    texts = ("5.00", "45.00", "25.00", "source_says", "»the reference says«", "Cochran-Armitage")
    for text in (*texts, "not calibrated on this text"):
        assert text in result.output


def test_json_on_stdout_is_the_report(tmp_path):
    run = make_run(tmp_path / "run", 2)
    result = invoke(run, "--json")
    assert json.loads(result.stdout) == json.loads((run / "leakage" / "report.json").read_text())


def test_completions_are_audited_beside_the_input_or_where_told(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"text_out": "The reference solution says 7."}) + "\n")
    assert invoke("--completions", path, "--column", "text_out").exit_code == 0
    assert (tmp_path / "leakage-audit" / "report.json").is_file()
    assert invoke("--completions", path, "--column", "text_out", "--output-dir", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "report.json").is_file()


@pytest.mark.parametrize(("limit", "code"), [("0.05", 3), ("0.1", 0), ("1", 0), ("0", 3)])
def test_fail_above_exits_with_3_only_above_the_rate(tmp_path, limit, code):
    run = make_run(tmp_path / "run", 2)
    assert invoke(run, "--fail-above", limit).exit_code == code
    assert (run / "leakage" / "report.json").is_file()


def test_diff_prints_both_tests_and_can_write_them(tmp_path):
    a, b = make_run(tmp_path / "a", 0, 1, 2), make_run(tmp_path / "b", 5, 10, 15)
    result = invoke("--diff", a, b, "--output-dir", tmp_path / "out")
    assert result.exit_code == 0
    for text in ("A: a", "B: b", "+45.00", "Newcombe", "trend of A", "trend of B", "difference of the slopes"):
        assert text in result.output
    written = json.loads((tmp_path / "out" / "diff.json").read_text())
    assert written["difference"]["difference"] == pytest.approx(0.45)
    assert not (a / "leakage").exists()


def test_diff_takes_files_of_completions_too(tmp_path):
    run = make_run(tmp_path / "a", 3)
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"completion": CLEAN}) + "\n")
    result = json.loads(invoke("--diff", run, path, "--json").stdout)
    assert result["b"]["n"] == 1
    assert result["trend"]["b"] is None


def test_the_self_check_passes_and_exits_with_1_when_it_does_not(monkeypatch):
    from rlsd_cli.leakage import selfcheck

    monkeypatch.setattr(selfcheck.self_check, "__defaults__", (None, 100, 0))
    result = invoke("--self-check")
    assert result.exit_code == 0
    assert result.output.count("ok") == len(selfcheck.RATES)
    monkeypatch.setitem(selfcheck.plants(), "testbed_mentions", ["note"])
    failed = invoke("--self-check")
    assert failed.exit_code == 1
    assert "FAILED" in failed.output


def test_scores_are_printed_for_all_files_together():
    names = [LABELLED / "sentences_test.jsonl", LABELLED / "passages_test.jsonl"]
    result = invoke("--score-rules", names[0], "--score-rules", names[1])
    assert result.exit_code == 0
    for text in ("all mentions", "style testbed", "given_answer", "answer_before_derivation", "302"):
        assert text in result.output


def test_the_table_in_the_docs_is_what_the_command_prints():
    page = (Path(__file__).parents[2] / "docs" / "leakage-audit.md").read_text(encoding="utf-8")
    names = [LABELLED / "sentences_test.jsonl", LABELLED / "passages_test.jsonl"]
    printed = invoke("--score-rules", names[0], "--score-rules", names[1]).stdout
    assert printed.strip() in page


def test_wrong_calls_are_told_in_one_sentence(tmp_path):
    run = make_run(tmp_path / "run", 1)
    assert "run directory" in sentence()
    assert "either" in sentence(run, "--completions", run)
    assert "stand alone" in sentence(run, "--diff", run, run)
    assert "stand alone" in sentence("--self-check", "--diff", run, run)
    assert "columns" in sentence(run, "--column", "x")
    assert "does not exist" in sentence(tmp_path / "missing")
    assert "without --completions" in sentence("--completions", run)
    (tmp_path / "empty").mkdir()
    assert "no file of completions" in sentence("--completions", tmp_path / "empty")
    (tmp_path / "x.jsonl").write_text("")
    assert "empty" in sentence("--completions", tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [("latin.jsonl", '{"completion": "é"}\n'.encode("latin-1")), ("utf16.csv", "completion\na\n".encode("utf-16"))],
)
def test_a_wrong_encoding_ends_with_one_sentence_and_code_2(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-m", "rlsd_cli", "leakage-audit", "--completions", str(tmp_path / name)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("rlsd: ")
    assert "UTF-8" in result.stderr
    assert result.stderr.count("\n") == 1


def test_two_processes_with_other_hash_seeds_write_the_same_bytes(tmp_path):
    run = make_run(tmp_path / "run", 2, 7)
    written = []
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "rlsd_cli", "leakage-audit", str(run)]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
        written.append({path.name: path.read_bytes() for path in (run / "leakage").iterdir()})
    assert written[0] == written[1]


def test_control_characters_of_a_completion_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"completion": "\x1b[2J\x07 [red]The reference solution says 7."}) + "\n")
    result = invoke("--completions", path)
    assert result.exit_code == 0
    assert "\x1b[2J" not in result.output
    assert "\x07" not in result.output
    assert "[red]" in result.output
