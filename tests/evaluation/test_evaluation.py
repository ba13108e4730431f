"""`rlsd eval` on a run: files, intervals, refusals."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.results import GREEDY, evaluations
from rlsd_cli.evaluation.run import evaluate_run, summarise
from rlsd_cli.evaluation.settings import IDENTITY, OF_BENCHMARKS, EvalOptions
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.tasks.base import Verdict
from rlsd_cli.training.run import train


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_model):
    from rlsd_cli.arms.configure import build

    config = build(
        [
            {
                "method": "grpo",
                "model": {"path": str(tiny_model)},
                "train": {"steps": 2, "prompts_per_step": 2, "group_size": 2, "save_every": 1, "threads": 1},
                "log": {"probe_every": 5, "probe_prompts": 1, "probe_group": 2},
            }
        ]
    )
    return train(config, tmp_path_factory.mktemp("eval") / "run")


def frame(rows):
    columns = ["prompt_id", "sample_id", "correct", "completion", "length"]
    return pd.DataFrame(rows, columns=columns).assign(suite="chain", prompt="question 1 + 1 ?")


def test_summary_by_hand():
    # Two questions; greedy 1 and 0; samples (1, 1) and (0, 1): question means 1 and 1/2, avg@2 = 3/4.
    rows = [
        ("a", GREEDY, True, "x", 3),
        ("b", GREEDY, False, "x", 3),
        ("a", 0, True, "the reference says 1 + 1 = 2", 4),
        ("a", 1, True, "x", 4),
        ("b", 0, False, "x", 4),
        ("b", 1, True, "x", 8),
    ]
    summary = summarise(frame(rows), {"samples": 2}, step=7)
    assert summary["greedy_accuracy"] == 0.5
    assert summary["avg_at_k"] == 0.75
    assert summary["leakage_rate"] == 0.25
    assert summary["mean_length"] == 5.0
    assert summary["n_questions"] == 2
    # Student t with one degree of freedom: 0.75 ± 12.706·(√(1/8)/√2) = 0.75 ± 3.18.
    assert summary["avg_at_k_interval"] == pytest.approx([0.75 - 3.1766, 0.75 + 3.1766], abs=1e-3)


def test_a_suites_files_hold_every_completion(run):
    options = EvalOptions(samples=2, limit=5)
    told = []
    summaries = evaluate_run(run.path, options, ["chain", "long"], on_suite=told.append)
    assert [summary["suite"] for summary in summaries] == ["chain", "long"]
    assert told == summaries
    folder = run.eval_dir  # the first evaluation of these suites
    assert json.loads((folder / "chain.json").read_text()) == summaries[0]
    assert set(IDENTITY) - set(OF_BENCHMARKS) <= set(summaries[0])
    rows = pd.read_parquet(folder / "long.parquet")
    assert sorted(rows["sample_id"].unique()) == [-1, 0, 1]
    assert rows["prompt_id"].nunique() == 5
    assert len(rows) == 15


def test_evaluation_repeats_itself(run):
    options = EvalOptions(samples=2, limit=5)
    assert evaluate_run(run.path, options, ["chain"]) == evaluate_run(run.path, options, ["chain"])


def test_batches_do_not_change_greedy_accuracy(run):
    whole = evaluate_run(run.path, EvalOptions(samples=1, limit=6), ["chain"])[0]
    parts = evaluate_run(run.path, EvalOptions(samples=1, limit=6, batch_size=4), ["chain"])[0]
    assert whole["greedy_accuracy"] == parts["greedy_accuracy"]


def test_a_checkpoint_can_be_evaluated(run):
    assert evaluate_run(run.path, EvalOptions(samples=1, limit=2), ["chain"], step=1)[0]["checkpoint_step"] == 1


def files(run):
    return {path.relative_to(run.eval_dir): path.read_bytes() for path in run.eval_dir.rglob("*.*") if path.is_file()}


def test_another_step_or_setting_overwrites_no_result(run):
    options = EvalOptions(samples=1, limit=2)
    evaluate_run(run.path, options, ["chain"])
    before = files(run)
    evaluate_run(run.path, options, ["chain"], step=1)
    for changes in ({"max_new_tokens": 3}, {"seed": 1}, {"top_p": 0.5}, {"limit": 3}, {"batch_size": 1}):
        evaluate_run(run.path, EvalOptions(**{"samples": 1, "limit": 2, **changes}), ["chain"])
    after = files(run)
    assert {name: after[name] for name in before} == before
    found = [each.folder for each in evaluations(run, "chain") if each.folder.endswith(("limit-2", "tokens-3"))]
    assert {"step-1,samples-1,limit-2", "samples-1,limit-2,max_new_tokens-3"} <= set(found)


def test_the_first_evaluation_lies_in_eval_and_one_at_the_defaults_beside_it_has_a_name(run):
    shutil.rmtree(run.eval_dir, ignore_errors=True)
    evaluations.cache_clear()
    evaluate_run(run.path, EvalOptions(samples=1, limit=2), ["chain"])
    assert [each.folder for each in evaluations(run, "chain")] == [""]
    evaluate_run(run.path, EvalOptions(), ["chain"])
    assert [each.folder for each in evaluations(run, "chain")] == ["defaults", ""]  # whole suites come first


def test_other_rules_for_an_answer_do_not_overwrite_verdicts_by_the_old_ones(run, monkeypatch):
    options = EvalOptions(samples=1, limit=4)
    evaluate_run(run.path, options, ["chain"])
    before = files(run)
    monkeypatch.setattr(ArithmeticTask, "verify", lambda self, text, answer, name="": Verdict(True, ""))
    (summary,) = evaluate_run(run.path, options, ["chain"])
    assert summary["greedy_accuracy"] == 1.0
    after = files(run)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 2


@pytest.mark.parametrize("changes", [{"top_k": 1}, {"top_p": 0.01}, {"min_p": 1.0}])
def test_settings_that_leave_one_token_give_the_greedy_completions(run, changes):
    evaluate_run(run.path, EvalOptions(samples=2, limit=4, **changes), ["chain"])
    ((key, value),) = changes.items()
    frame = pd.read_parquet(next(run.eval_dir.glob(f"*{key}-{value}*")) / "chain.parquet")
    assert len(frame) == 12
    assert all(len(set(texts)) == 1 for _, texts in frame.groupby("prompt_id")["completion"])


@pytest.mark.parametrize("changes", [{"top_p": 0.0}, {"min_p": 1.5}, {"top_k": -1}, {"temperature": 0.0}])
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(UserError, match=f"{next(iter(changes))} is"):
        EvalOptions(**changes)


def test_wrong_suites_and_steps_are_refused(run):
    with pytest.raises(UserError, match="did you mean 'chain'"):
        evaluate_run(run.path, EvalOptions(), ["chian"])
    with pytest.raises(UserError, match="no whole checkpoint of step 9; it has: 1, 2"):
        evaluate_run(run.path, EvalOptions(), [], step=9)


def test_the_command_prints_a_table_or_json(run):
    arguments = ["eval", str(run.path), "--suite", "chain", "--limit", "3", "--samples", "1"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "chain" in shown.output
    printed = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(printed.stdout)[0]["suite"] == "chain"
