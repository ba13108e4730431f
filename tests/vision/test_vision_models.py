"""Loading a vision-language model and its processor, and sampling from it."""

import json
import shutil

import pytest
import torch
from PIL import Image

from rlsd_cli.config.run import ModelConfig
from rlsd_cli.generation.sample import encode_prompts, sample
from rlsd_cli.models.images import encode_chats
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.models.processors import VIDEO_FILE, is_vision, takes_images, text_tokenizer
from rlsd_cli.tasks.messages import user_message

PICTURES = [Image.new("RGB", size, colour) for size, colour in (((24, 16), "red"), ((32, 32), "blue"))]


@pytest.fixture(scope="module")
def loaded(vl_model):
    return load_model(ModelConfig(path=str(vl_model))).eval(), load_tokenizer(str(vl_model))


def test_vision_models_are_told_from_text_models(vl_model, tiny_model, tmp_path):
    assert is_vision(str(vl_model))
    assert not is_vision(str(tiny_model))
    assert not is_vision(str(tmp_path))
    assert not takes_images(load_tokenizer(str(tiny_model)))


def test_model_and_processor_come_back_from_their_directory(loaded, vl_model):
    model, processor = loaded
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert takes_images(processor)
    assert text_tokenizer(processor).padding_side == "left"
    assert processor.chat_template == (vl_model / "chat_template.jinja").read_text()


def test_settings_for_videos_survive_loading_without_torchvision(vl_model, tmp_path):
    source = shutil.copytree(vl_model, tmp_path / "source")
    settings = json.dumps({"video_processor_type": "Qwen3VLVideoProcessor", "fps": 2})
    (source / VIDEO_FILE).write_text(settings)
    processor = load_tokenizer(str(source))
    processor.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / VIDEO_FILE).read_text() == settings
    shutil.copy(source / "config.json", tmp_path / "saved")
    again = load_tokenizer(str(tmp_path / "saved"))
    assert type(again).__name__ == "Qwen3VLProcessor"
    assert again.image_processor.patch_size == processor.image_processor.patch_size
    kept = json.loads((tmp_path / "saved" / "processor_config.json").read_text())
    assert kept["processor_class"] == "Qwen3VLProcessor"
    assert "video_settings" not in kept


def test_a_processor_in_the_hubs_older_files_is_loaded(vl_model, tmp_path):
    folder = shutil.copytree(vl_model, tmp_path / "older")
    settings = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    # As in Qwen3-VL's repositories: the image part in a file of its own, under the name of the class for torchvision.
    settings |= {"image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor"}
    (folder / "processor_config.json").unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    processor = load_tokenizer(str(folder))
    assert processor.image_processor.patch_size == 4
    assert text_tokenizer(processor).padding_side == "left"


def test_rows_of_a_batch_keep_their_own_pictures(loaded):
    _, processor = loaded
    chats = [
        [user_message("one", PICTURES[:1])],
        [user_message("none")],
        [user_message("two", PICTURES)],
        [user_message("other", PICTURES[1:])],
    ]
    _, _, vision = encode_chats(processor, chats)
    assert vision.counts == [1, 0, 2, 1]
    for part in (slice(0, 2), slice(2, 4), slice(1, 3)):
        alone = encode_chats(processor, chats[part])[2]
        cut = vision.rows(part)
        for name, tensor in alone.images.items():
            assert torch.equal(cut.images[name], tensor), name
    assert vision.rows(slice(1, 2)).images == {}
    width = vision.token_types["mm_token_type_ids"].size(1)
    assert vision.inputs(3)["mm_token_type_ids"].shape == (4, width + 3)


def test_greedy_samples_of_a_batch_are_those_of_each_chat_alone_and_depend_on_the_picture(loaded):
    model, processor = loaded
    chats = [[user_message("How many?", [picture])] for picture in PICTURES] + [[user_message("How many?")]]
    together = sample(model, processor, chats, max_new_tokens=12, greedy=True)
    alone = [sample(model, processor, [chat], max_new_tokens=12, greedy=True).texts[0] for chat in chats]
    assert together.texts == alone
    assert len(set(alone)) == 3


def test_an_image_token_is_never_sampled(loaded):
    model, processor = loaded
    image_token = model.config.image_token_id
    chats = [[user_message("How many?", PICTURES[:1])]]
    with torch.no_grad():
        before = model.lm_head.weight[image_token].clone()
        model.lm_head.weight[image_token] = 100 * model.lm_head.weight.mean(dim=0)
        try:
            samples = sample(model, processor, chats * 8, max_new_tokens=8, temperature=2.0)
        finally:
            model.lm_head.weight[image_token] = before
    assert not (samples.completion_ids == image_token).any()


def test_texts_and_chats_without_pictures_need_no_vision(loaded):
    _, processor = loaded
    assert encode_prompts(processor, ["How many?", "How"]).vision is None
    assert encode_prompts(processor, [[user_message("How many?")]]).vision is None
