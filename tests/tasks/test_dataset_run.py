"""A data set through a whole run: trained on, and evaluated on what was held out."""

import json

import datasets
import pandas as pd
import pytest

from rlsd_cli.arms.configure import build
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import EvalOptions, evaluate_run
from rlsd_cli.tasks.arithmetic import ArithmeticTask
from rlsd_cli.training.run import train


@pytest.fixture
def questions(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    path = tmp_path / "questions.jsonl"
    examples = [ArithmeticTask(operations=1).train_example(0, index) for index in range(12)]
    rows = [{"id": e.id, "prompt": e.prompt, "answer": e.answer, "solution": e.solution} for e in examples]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_run_on_a_data_set_trains_on_its_questions_and_evaluates_on_those_held_out(questions, tmp_path):
    data = {"path": str(questions), "chat": False, "instruction": "", "held_out": 3, "max_completion_tokens": 12}
    config = build(
        [
            {
                "method": "rlsd",
                "task": {"name": "dataset", "data": data},
                "train": {"steps": 2, "prompts_per_step": 2, "group_size": 2},
                "log": {"probe_prompts": 2, "probe_group": 2},
            }
        ]
    )
    run = tmp_path / "run"
    train(config, run)
    written = pd.concat(pd.read_parquet(path) for path in sorted((run / "completions").glob("*.parquet")))
    known = {row["id"]: row for row in map(json.loads, questions.read_text().splitlines())}
    assert set(written["prompt_id"]) <= set(known)
    assert all(
        known[name]["prompt"] == prompt for name, prompt in zip(written["prompt_id"], written["prompt"], strict=True)
    )
    (summary,) = evaluate_run(run, EvalOptions(samples=1), [])
    assert (summary["suite"], summary["n_questions"]) == ("held_out", 3)
    asked = set(pd.read_parquet(run / "eval" / "held_out.parquet")["prompt_id"])
    assert not asked & set(written["prompt_id"])


def test_chats_for_a_model_without_a_chat_template_are_told_before_the_model_is_loaded(questions, tmp_path):
    data = {"path": str(questions), "held_out": 3}
    config = build([{"method": "grpo", "task": {"name": "dataset", "data": data}}])
    with pytest.raises(UserError, match=r"'micro-base' has no chat template: .*task\.data\.chat=false"):
        train(config, tmp_path / "run")
