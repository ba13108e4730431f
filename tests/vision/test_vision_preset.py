"""The preset of the paper's setting: what it holds, and that it runs, on the tiny model and rows of its layout."""

import json

import pytest
from typer.testing import CliRunner

from rlsd_cli.arms import ARMS, configure, load_arm
from rlsd_cli.cli import app
from rlsd_cli.runs.directory import RunDir

PATH = {"task": {"data": {"path": "somewhere"}}}
SMALL = (
    "task.data.min_pixels=64 task.data.max_pixels=4096 task.data.held_out=2 task.data.max_completion_tokens=8 "
    "train.steps=2 train.prompts_per_step=2 train.group_size=2 train.micro_batch=2 train.threads=1 "
    "log.probe_prompts=1"
)


def preset(method):
    return configure.build([configure.preset_layer("qwen3-vl-8b", method), PATH])


@pytest.mark.parametrize("method", ARMS)
def test_all_arms_have_the_papers_budget_and_data(method):
    mine, grpo = preset(method), preset("grpo")
    arm = load_arm(method)
    same = {"learning_rate": 0, **arm.defaults.get("train", {})}  # how losses are averaged is part of some arms
    assert mine.train.model_copy(update=same) == grpo.train.model_copy(update=same)
    assert (mine.model, mine.task, mine.log) == (grpo.model, grpo.task, grpo.log)
    assert (grpo.train.prompts_per_step, grpo.train.group_size, grpo.train.steps) == (256, 8, 200)
    policy = {"grpo", "rlsd", "grpo_opsd"}
    assert mine.train.learning_rate == (
        1e-6 if method in policy or load_arm(method).like in policy - {"grpo"} else 1e-5
    )


def test_the_official_preset_differs_from_the_papers_text_where_the_script_does():
    for method in ("grpo", "rlsd"):
        own, text = (
            configure.build([configure.preset_layer(name, method), PATH])
            for name in ("qwen3-vl-8b-official", "qwen3-vl-8b")
        )
        assert own.task.data.model_copy(update={"prompts": "plain", "reward": "composite"}) == text.task.data
        assert (own.task.data.prompts, own.task.data.reward) == ("official", "official")
        assert own.train.model_copy(update={"aggregation": "sequence"}) == text.train
        assert (own.model, own.log) == (text.model, text.log)
    assert (own.objective["mix_decay_steps"], own.teacher.sync_every, own.teacher.reference) == (60, 20, "answer")
    assert own.teacher.template.index("{question}") < own.teacher.template.index("{reference}")
    assert own.teacher.template.rstrip().endswith("{instruction}")


def test_without_a_data_set_the_preset_says_what_to_give():
    result = CliRunner().invoke(app, ["train", "--preset", "qwen3-vl-8b", "--method", "rlsd"])
    assert "task.data.path" in str(result.exception)


@pytest.mark.parametrize("method", ["rlsd", "grpo_opsd"])
def test_the_preset_runs_in_bfloat16_on_rows_of_the_papers_layout(vl_model, shapes, tmp_path, method):
    rows = [json.loads(line) for line in shapes.read_text().splitlines()]
    path = shapes.with_name("paper.jsonl")
    traces = [
        {
            "id": row["id"],
            "problem": f"<image>{row['prompt']}" if len(row["images"]) == 1 else row["prompt"],
            "answer": row["answer"],
            "images": row["images"],
            "qwen3vl_235b_thinking_response": row["solution"],
        }
        for row in rows
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in traces))
    sets = [f"model.path={vl_model}", f"task.data.path={path}", *SMALL.split()]
    command = ["train", "--preset", "qwen3-vl-8b", "--method", method, "--output-dir", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*command, *(word for text in sets for word in ("--set", text))])
    assert result.exit_code == 0, result.exception
    run = RunDir.open(tmp_path / "run")
    assert [line["step"] for line in run.metrics()] == [1, 2]
    assert run.status()["state"] == "complete"
