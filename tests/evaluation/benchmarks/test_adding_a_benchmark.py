"""docs/adding-a-benchmark.md is run as it stands: a benchmark from outside the package."""

import json
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.benchmarks import outside
from rlsd_cli.evaluation.benchmarks.suites import find
from rlsd_cli.tasks.base import Example

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-benchmark.md"
ROWS = [
    {"id": f"q{number}", "question": f"About how much is {number} times 99?", "answer": 99 * number, "topic": topic}
    for number, topic in ((2, "even"), (3, "odd"), (4, "even"), (5, "odd"))
]


@pytest.fixture
def estimation(tmp_path, monkeypatch):
    """The page's module and a copy of its questions in the working directory."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S).group(1)
    (tmp_path / "estimation.py").write_text(code)
    (tmp_path / "estimation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(outside, "_named", {})
    yield
    sys.modules.pop("estimation", None)


def run_eval(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def ask(vl_model, name, benchmark="estimation:ESTIMATION"):
    return run_eval(
        *("--model", vl_model, "--output-dir", name, "--benchmark", benchmark, "--data", "estimation.jsonl"),
        *("--max-tokens", 4, "--samples", 2, "--threads", 1),
    )


def test_the_worked_example_is_evaluated_and_compared(estimation, vl_model, tmp_path, monkeypatch):
    for name in ("a", "b"):
        result = ask(vl_model, name)
        assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "a" / "eval" / "estimation.json").read_text())
    assert (summary["suite"], summary["benchmark"]) == ("estimation", "estimation:ESTIMATION")
    assert set(summary["metrics"]) == {"accuracy", "accuracy/even", "accuracy/odd"}
    named = run_eval("a", "--compare", "b", "--benchmark", "estimation:ESTIMATION", "--json")
    assert named.exit_code == 0, named.output
    assert set(json.loads(named.stdout)[0]["differences"]) == {"accuracy", "accuracy/even", "accuracy/odd"}
    # A run directory alone names no module that is imported.
    monkeypatch.setattr(outside, "_named", {})
    sys.modules.pop("estimation")
    compared = run_eval("a", "--compare", "b", "--json")
    assert set(json.loads(compared.stdout)[0]["differences"]) == {"accuracy"}
    assert "estimation" not in sys.modules


def test_its_verdicts_by_hand_and_gold_is_right(estimation):
    benchmark = find("estimation:ESTIMATION")
    for row in ROWS:
        question = benchmark.read(row)
        example = Example(question.id, question.text, question.answer, meta=question.meta)
        assert benchmark.judge(f"It is {row['answer']}", example).correct
        assert benchmark.judge(f"It is {row['answer'] * 1.09}", example).correct
        assert not benchmark.judge(f"It is {row['answer'] * 1.2}", example).correct
        assert not benchmark.judge("", example).correct


def test_an_entry_point_gives_it_a_name(estimation, vl_model, tmp_path, monkeypatch):
    points = [EntryPoint("estimation", "estimation:ESTIMATION", outside.GROUP)]
    monkeypatch.setattr(outside, "entry_points", lambda group: points)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = ask(vl_model, "a", "estimation")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "a" / "eval" / "estimation.json").read_text())["n_questions"] == 4
    with pytest.raises(UserError, match="did you mean 'estimation'"):
        find("estimatoin")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("estimation:ESTIMATE", "the benchmark 'estimation:ESTIMATE' can't be imported"),
        ("no_such:NAME", "can't be imported"),
        ("estimation:judge", "is no benchmark"),
        ("broken:B", "called '../evil'"),
    ],
)
def test_what_is_no_benchmark_is_one_sentence(estimation, tmp_path, name, message):
    (tmp_path / "broken.py").write_text(
        "from dataclasses import replace\nfrom estimation import ESTIMATION\nB = replace(ESTIMATION, name='../evil')\n"
    )
    with pytest.raises(UserError, match=message):
        find(name)
    sys.modules.pop("broken", None)
