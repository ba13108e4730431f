"""What `rlsd eval --benchmark` takes from the benchmark itself, and what it says about verdicts."""

import json

import pytest

from rlsd_cli.commands import eval_output
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation import run as evaluation
from rlsd_cli.evaluation.benchmarks.evaluate import Request, load
from rlsd_cli.evaluation.settings import EvalOptions
from rlsd_cli.generation.engine import Completion

QUESTIONS = [{"id": n, "problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(2)]


class Scripted:
    """An engine that says the same of every question."""

    name, template, opening = "transformers", None, ""

    def __init__(self):
        self.asked = []

    def complete(self, prompts, *, samples, max_new_tokens, sampling, greedy, seed):
        self.asked.append((samples, max_new_tokens, sampling.temperature, sampling.top_p, greedy))
        return [[Completion(r"\boxed{1}", 3, False)] * samples for _ in prompts]


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    path = tmp_path / "aime.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    engine = Scripted()
    monkeypatch.setattr(evaluation, "load_engine", lambda *_: engine)
    run = evaluation.base_run(tmp_path / "run", "micro-base", None)

    def ask(options, chosen):
        rows = []
        suite = load(Request("aime25", str(path)))
        (summary,) = evaluation.evaluate_run(run.path, options, [], None, lambda _: None, [suite], chosen, rows.append)
        return summary, rows[0], engine.asked

    return ask


def test_benchmarks_own_sampling_holds_where_the_user_chose_none_and_is_recorded(evaluate):
    summary, _, asked = evaluate(EvalOptions(), ())
    assert asked == [(1, 32768, 0.6, 0.95, True), (32, 32768, 0.6, 0.95, False)]
    assert (summary["samples"], summary["temperature"], summary["top_p"]) == (32, 0.6, 0.95)
    assert "avg@32" in summary["protocol"]


def test_what_the_user_chose_goes_before_the_benchmarks_own(evaluate):
    summary, _, asked = evaluate(EvalOptions(samples=2), ("samples",))
    assert asked[1] == (2, 32768, 0.6, 0.95, False)
    assert summary["samples"] == 2


def test_why_prints_right_and_wrong_verdicts_with_their_rule(evaluate, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no line breaks within a rule
    _, frame, _ = evaluate(EvalOptions(samples=1), ("samples",))
    assert set(frame["why"]) == {"the last box: the same text", "the last box: another number"}
    eval_output.reasons([frame], as_json=False)
    printed = capsys.readouterr().out
    assert "another number" in printed
    assert "the same text" in printed


def test_unanswerable_questions_are_named_kept_dropped_or_refused(tmp_path):
    rows = [{"question": "Which?", "answer": gold, "options": ["x", "y"]} for gold in "AD"]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nhub: h\ncolumns: {question: question, answer: answer}\n"
        "options: {column: options}\nverifier: choice\n"
    )
    kept = load(Request(str(file), str(path)))
    assert (len(kept.examples), kept.settings["unanswerable"]) == (2, ["1"])
    assert "row 1 of" in kept.remark
    assert "'D', which is none of its 2 options" in kept.remark
    assert len(load(Request(str(file), str(path), unanswerable="drop")).examples) == 1
    with pytest.raises(UserError, match=r"row 1 of .*'D', which is none of its 2 options.*--unanswerable drop"):
        load(Request(str(file), str(path), unanswerable="refuse"))
