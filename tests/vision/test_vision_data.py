"""Rows of training with pictures: made when asked for, refused where the model can't read them."""

import json
import shutil

import pytest
from PIL import Image
from transformers import Qwen3Config, Qwen3ForCausalLM

from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import EvalOptions, base_run, evaluate_run
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


@pytest.fixture
def thin(vl_config, tmp_path):
    """A configuration whose second question has an image of 900×3 pixels, which Qwen's processor refuses."""
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    Image.new("RGB", (900, 3)).save(tmp_path / "b.png")
    rows = [{"prompt": "?", "answer": "1", "images": [name]} for name in ("a.png", "b.png")]
    (tmp_path / "thin.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"path": str(tmp_path / "thin.jsonl"), "held_out": 0, "held_out_split": "train"}
    return vl_config("grpo", {"task": {"data": data}})


def test_a_shape_that_the_model_refuses_is_named_before_training(thin, tmp_path):
    with pytest.raises(UserError, match=r"row 1 of .*thin\.jsonl has an image of 900×3 pixels, .* smaller than"):
        train(thin, tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_shape_that_the_model_refuses_is_named_before_an_evaluation_samples(thin, tmp_path, monkeypatch):
    monkeypatch.setattr("rlsd_cli.evaluation.run.load_engine", lambda *args: pytest.fail("the model was loaded"))
    run = base_run(tmp_path / "base", thin.model.path, thin.task)
    with pytest.raises(UserError, match=r"row 1, question '1' of held_out, has an image of 900×3 pixels"):
        evaluate_run(run.path, EvalOptions(samples=1), [])


def test_an_image_that_is_missing_in_a_later_row_is_named_before_training(thin, tmp_path):
    (tmp_path / "b.png").unlink()
    with pytest.raises(UserError, match=r"row 1 of .* names the image .*b\.png, which does not exist"):
        train(thin, tmp_path / "run")
