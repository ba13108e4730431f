"""`rlsd eval --chat`: variables of the chat template, in the prompts, in the settings, in the folder's name."""

import json
import shutil

import pytest
from transformers import AutoTokenizer

from rlsd_cli.arms.configure import build
from rlsd_cli.commands.eval import chat_variables
from rlsd_cli.config.run import dump
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import evaluate_run
from rlsd_cli.evaluation.settings import EvalOptions
from rlsd_cli.runs.directory import RunDir, write_text

TEMPLATE = (
    "{% for turn in messages %}{{ turn['content'] }} {% endfor %}"
    "{% if add_generation_prompt and enable_thinking %}so{% endif %}"
)


def test_variables_are_read_as_yaml_and_anything_else_is_one_sentence():
    assert chat_variables(None) is None
    assert chat_variables(["enable_thinking=false", "name=it"]) == {"enable_thinking": False, "name": "it"}
    for wrong in ("enable_thinking", "=false", "a-b=1", ""):
        with pytest.raises(UserError, match="--chat takes NAME=VALUE"):
            chat_variables([wrong])


@pytest.fixture
def run(tmp_path, tiny_model):
    """A run directory with a model whose template has a thinking mode, trained without it."""
    rows = [{"prompt": f"question {n} + 1 ?", "answer": str(n + 1)} for n in range(4)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"path": str(path), "held_out": 2, "instruction": "", "max_completion_tokens": 4}
    config = build([{"method": "grpo", "task": {"name": "dataset", "data": data}}])
    made = RunDir(tmp_path / "run")
    write_text(made.config_file, dump(config))
    made.write_status(state="complete", step=1, steps=1)
    shutil.copytree(tiny_model, made.model_dir)
    tokenizer = AutoTokenizer.from_pretrained(made.model_dir)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(made.model_dir)
    return made


def test_an_evaluation_with_other_variables_is_another_one_and_is_kept_apart(run):
    options = EvalOptions(samples=1)
    (plain,) = evaluate_run(run.path, options, [])
    (thinking,) = evaluate_run(run.path, options, [], variables={"enable_thinking": True})
    assert plain["template"] != thinking["template"]
    first, second = sorted(path.parent.name for path in run.eval_dir.rglob("held_out.json"))
    assert first == "eval"
    assert second.startswith("samples-1,chat-")


def test_an_unknown_variable_is_refused_before_anything_is_sampled(run):
    with pytest.raises(UserError, match="has no variable 'thinking'"):
        evaluate_run(run.path, EvalOptions(samples=1), [], variables={"thinking": True})
