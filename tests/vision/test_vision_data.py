"""Rows of training with pictures: made when asked for, refused where the model can't read them."""

import json
import shutil

import pytest
from transformers import Qwen3Config, Qwen3ForCausalLM

from rlsd_cli.errors import UserError
from rlsd_cli.models.load import load_tokenizer
from rlsd_cli.tasks import dataset as dataset_task
from rlsd_cli.tasks.load import load_task
from rlsd_cli.training.data import training_set
from rlsd_cli.training.run import train


def test_pictures_are_opened_when_a_row_is_asked_for_and_once_for_all_rollouts(vl_config, monkeypatch):
    config = vl_config("grpo", {"train": {"steps": 6}})
    opened = []
    plain = dataset_task.load_images
    monkeypatch.setattr(dataset_task, "load_images", lambda *args: opened.append(args[2]) or plain(*args))
    rows = training_set(config, load_task(config.task), takes_images=True)
    assert len(rows) == 12
    assert len(opened) == 1, "the first row is looked at before training"
    batch = rows.__getitems__([3, 3, 3, 4, 4, 4])
    assert len(opened) == 3
    assert [row["prompt_id"] for row in batch] == [batch[0]["prompt_id"]] * 3 + [batch[3]["prompt_id"]] * 3
    for row in batch:
        places = [part for turn in row["prompt"] for part in turn["content"] if part["type"] == "image"]
        assert places == [{"type": "image"}] * len(row["images"])


def test_a_text_model_on_questions_with_pictures_is_refused_at_the_start(vl_config, tiny_model, tmp_path):
    config = vl_config("grpo", {"model": {"path": str(tiny_model)}})
    with pytest.raises(UserError, match=r"have images and the model .* reads text only: choose another model"):
        train(config, tmp_path / "run")


def test_an_external_teacher_with_another_image_token_is_refused(vl_config, vl_teacher, tmp_path):
    folder = shutil.copytree(vl_teacher, tmp_path / "teacher")
    settings = json.loads((folder / "config.json").read_text())
    settings["image_token_id"] += 1
    (folder / "config.json").write_text(json.dumps(settings))
    config = vl_config("opd", {"teacher": {"model": str(folder)}})
    with pytest.raises(UserError, match=r"does not read images as the student does .*choose a teacher of its family"):
        train(config, tmp_path / "run")


def test_an_external_teacher_that_reads_text_only_is_refused(vl_config, tmp_path):
    student = load_tokenizer(vl_config("opd").model.path)
    folder = tmp_path / "teacher"
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    Qwen3ForCausalLM(Qwen3Config(vocab_size=len(student.tokenizer), **small, **heads)).save_pretrained(folder)
    with pytest.raises(UserError, match="does not read images as the student does"):
        train(vl_config("opd", {"teacher": {"model": str(folder)}}), tmp_path / "run")
