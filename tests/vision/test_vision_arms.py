"""Every arm on a tiny Qwen3-VL: trains, saves, resumes, is evaluated and audited."""

import json

import pandas as pd
import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from rlsd_cli.arms import ARMS
from rlsd_cli.cli import app
from rlsd_cli.training.run import train

pytestmark = pytest.mark.usefixtures("earns_rewards")


class Stopped(Exception):
    """Stands for whatever ends a process."""


def stop_at_two(record):
    if record["step"] == 2:
        raise Stopped


def without_times(run):
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in run.metrics()]


@pytest.mark.parametrize("method", ARMS)
def test_an_arm_trains_on_pictures_resumes_to_the_same_is_evaluated_and_audited(vl_config, tmp_path, method):
    config = vl_config(method)
    whole = train(config, tmp_path / "whole")
    assert [line["step"] for line in whole.metrics()] == [1, 2]
    # SRPO has nothing to learn from where the rollouts of each question are all right or all wrong.
    uniform = [method == "srpo" and line["frac_reward_zero_std"] == 1 for line in whole.metrics()]
    told = [(line["grad_norm"], line.get("frac_reward_zero_std")) for line in whole.metrics()]
    assert all((line["grad_norm"] > 0) != same for line, same in zip(whole.metrics(), uniform, strict=True)), told

    with pytest.raises(Stopped):
        train(config, tmp_path / "again", on_step=stop_at_two)
    resumed = train(config, tmp_path / "again", resume=True)
    assert json.loads(resumed.provenance_file.read_text())["attempts"][1]["from_step"] == 1
    assert without_times(resumed) == without_times(whole)
    mine, theirs = (load_file(run.model_dir / "model.safetensors") for run in (resumed, whole))
    assert all((mine[name] == theirs[name]).all() for name in mine)

    evaluated = CliRunner().invoke(app, ["eval", str(whole.path), "--samples", "2", "--json"])
    assert evaluated.exit_code == 0, evaluated.exception
    summary = json.loads((whole.eval_dir / "held_out.json").read_text())
    assert (summary["n_questions"], summary["checkpoint_step"]) == (2, 2)
    completions = pd.read_parquet(whole.eval_dir / "held_out.parquet")
    assert len(completions) == 2 * 3
    assert completions["completion"].str.len().gt(0).any()

    audited = CliRunner().invoke(app, ["leakage-audit", str(whole.path)])
    assert audited.exit_code == 0, audited.exception
    report = json.loads((whole.leakage_dir / "report.json").read_text())
    # SFT samples nothing in training; the completions of its probes, before and after, are read.
    assert report["n"] == (2 * 2 * 2 if method == "sft" else 2 * 2 * 4)


def test_the_vision_tower_learns_too(vl_config, vl_model, tmp_path):
    run = train(vl_config("grpo"), tmp_path / "run")
    before, after = load_file(vl_model / "model.safetensors"), load_file(run.model_dir / "model.safetensors")
    towers = [name for name in before if "visual" in name and name.endswith("qkv.weight")]
    assert towers
    assert all((before[name] != after[name]).any() for name in towers)


def test_true_credit_continues_rollouts_about_pictures(vl_config, tmp_path):
    vine = {"objective": {"evidence": "vine", "continuations": 2, "most_steps": 3}}
    run = train(vl_config("rlsd", vine), tmp_path / "run")
    for line in run.metrics():
        assert 1 <= line["vine/steps"] <= 3
        assert line["grad_norm"] > 0
        assert line["rlsd/weight_clip_low"] > 0 or line["vine/steps"] == 1


@pytest.mark.parametrize("method", ["rlsd", "opsd", "sft"])
def test_questions_without_pictures_train_beside_questions_with_some(vl_config, shapes, tmp_path, method):
    rows = [json.loads(line) for line in shapes.read_text().splitlines()]
    mixed = [{**row, "images": row["images"] if index % 2 else []} for index, row in enumerate(rows)]
    shapes.write_text("".join(json.dumps(row) + "\n" for row in mixed))
    several = {"train": {"prompts_per_step": 4, "group_size": 2, "micro_batch": 1}}
    run = train(vl_config(method, several), tmp_path / "run")
    assert [line["step"] for line in run.metrics()] == [1, 2]


def test_gradient_checkpointing_changes_nothing(vl_config, tmp_path):
    runs = [
        train(vl_config("grpo_opsd", {"train": {"gradient_checkpointing": on}}), tmp_path / str(on))
        for on in (False, True)
    ]
    plain, saving = ([(line["loss"], line["grad_norm"]) for line in run.metrics()] for run in runs)
    for (loss, norm), (other_loss, other_norm) in zip(plain, saving, strict=True):
        assert (loss, norm) == pytest.approx((other_loss, other_norm), rel=1e-3)
