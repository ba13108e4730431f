"""Decoys and exposure with pictures: the teacher sees a wrong solution, and scoring sees the image."""

import pandas as pd
import pytest

from rlsd_cli.config.run import ModelConfig, RunConfig
from rlsd_cli.evaluation.exposure import expose
from rlsd_cli.leakage.closed_book import log_probabilities
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.tasks.load import load_task
from rlsd_cli.training.run import train

DECOYS = {"leakage": {"decoy_share": 0.6}}


def test_a_run_with_pictures_has_decoys_and_is_scored_at_its_checkpoints(vl_config, tmp_path):
    run = train(vl_config("opsd", DECOYS, {"train": {"steps": 3, "prompts_per_step": 4}}), tmp_path / "run")
    rows = pd.concat(pd.read_parquet(path) for _, path in run.step_files(run.completions_dir))
    flagged = rows[rows["decoy"] != ""]
    assert 0 < flagged["prompt_id"].nunique() < rows["prompt_id"].nunique()
    assert all(row.decoy in row.reference and row.decoy != row.answer for row in flagged.itertuples())
    result = expose(run.path, samples=1)
    assert result["prompts"] == flagged["prompt_id"].nunique()
    assert [row["step"] for row in result["by_step"]] == [0, 1, 2, 3]
    assert all(row["low"] < row["high"] for row in result["by_step"])
    assert (run.leakage_dir / "exposure.svg").is_file()


def test_the_score_of_a_text_depends_on_the_picture(vl_config, vl_model):
    config: RunConfig = vl_config("opsd")
    task = load_task(config.task)
    first, second = (task.train_example(config.seed, index) for index in range(2))
    model, processor = load_model(ModelConfig(path=str(vl_model))).eval(), load_tokenizer(str(vl_model))
    texts = ["The answer is 3.", "The answer is 14."]
    scores = log_probabilities(model, processor, first.prompt, texts)
    assert scores == pytest.approx(log_probabilities(model, processor, first.prompt, texts))
    assert scores[0] != pytest.approx(scores[1])
    assert first.images[0].tobytes() != second.images[0].tobytes()
    assert scores != pytest.approx(log_probabilities(model, processor, second.prompt, texts))
