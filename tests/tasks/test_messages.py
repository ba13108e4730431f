"""Chat prompts with images."""

import pytest
from datasets import Dataset
from PIL import Image
from trl.data_utils import prepare_multimodal_messages

from rlsd_cli.tasks.messages import append_text, images_of, user_message, without_images


def kinds(message):
    return [part.get("text") or part["image"] for part in message["content"]]


@pytest.mark.parametrize(
    ("text", "images", "expected"),
    [
        ("What?", ["a"], ["a", "What?"]),
        ("<image> What?", ["a"], ["a", "What?"]),
        ("Compare <image> with <image>.", ["a", "b"], ["Compare", "a", "with", "b", "."]),
        ("Compare <image 2> with <image 1>.", ["a", "b"], ["Compare", "b", "with", "a", "."]),
        ("<image 1> and again <image 1>?", ["a"], ["a", "and again ?"]),
        ("Too few: <image>", ["a", "b"], ["a", "b", "Too few:"]),
        ("Too many: <image> <image>", ["a"], ["a", "Too many:"]),
        ("", ["a"], ["a"]),
    ],
)
def test_images_stand_where_the_text_places_them_else_first(text, images, expected):
    assert kinds(user_message(text, images)) == expected


def test_placeholder_without_an_image_is_dropped_from_plain_text():
    assert user_message("<image> What?") == {"role": "user", "content": "What?"}


def test_text_is_added_to_the_last_user_turn_only_and_the_given_prompt_stays():
    prompt = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "four"},
    ]
    added = append_text(prompt, "END")
    assert [turn["content"] for turn in added] == ["one", "two", "three\n\nEND", "four"]
    assert prompt[2]["content"] == "three"


def test_prompts_survive_a_table_and_trl_puts_the_images_back():
    pictures = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (1, 2)]
    prompt = [{"role": "system", "content": "Be brief."}, user_message("<image 2> or <image 1>?", pictures)]
    assert images_of(prompt) == (pictures[1], pictures[0])
    row = Dataset.from_dict({"prompt": [[without_images(prompt)[1]]], "images": [list(images_of(prompt))]})[0]
    restored = prepare_multimodal_messages(row["prompt"], row["images"])[0]["content"]
    assert [part["type"] for part in restored] == ["image", "text", "image", "text"]
    assert [part["image"].getpixel((0, 0))[0] for part in restored if part["type"] == "image"] == [2, 1]
    assert [part["text"] for part in restored if part["type"] == "text"] == ["or", "?"]
    assert (without_images("plain"), images_of("plain")) == ("plain", ())
