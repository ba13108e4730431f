"""A random Qwen3-VL of a few hundred thousand parameters, and pictures with questions, all made here.

    python tests/support/tiny_qwen3_vl.py DIRECTORY

writes DIRECTORY/model (weights, tokenizer, processor) and DIRECTORY/shapes.jsonl with its images, and
prints a command that trains on them. The architecture, the chat template and the processor are
Qwen3-VL's own; the weights are random and the tokenizer is learned from the questions.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import torch
import trl
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from rlsd_cli.config.data import DataConfig
from rlsd_cli.models.processors import without_videos

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
COLOURS = ("red", "green", "blue")
SIZES = ((24, 16), (16, 24), (32, 32), (40, 24))
PATCH = 4


def draw(colour: str, count: int, size: tuple[int, int]) -> Image.Image:
    """Return a picture of ``count`` squares of a colour on white."""
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for index in range(count):
        left, top = 1 + 6 * (index % 3), 1 + 6 * (index // 3)
        pen.rectangle((left, top, left + 4, top + 4), fill=colour)
    return picture


def questions(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return questions about one picture or two: columns id, prompt, answer, solution, pictures (PIL images)."""
    rng = random.Random(seed)
    rows = []
    for index in range(count):
        colour, numbers = rng.choice(COLOURS), [rng.randint(1, 6) for _ in range(rng.choice((1, 2)))]
        total = sum(numbers)
        rows.append(
            {
                "id": f"q{index}",
                "prompt": f"How many {colour} squares are there?",
                "answer": str(total),
                "solution": f"I count the {colour} squares one by one and get {total}. <answer>{total}</answer>",
                "pictures": [draw(colour, number, rng.choice(SIZES)) for number in numbers],
            }
        )
    return rows


def write_questions(folder: Path, count: int, seed: int = 0) -> Path:
    """Write questions as JSON lines, with their pictures as PNG files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for row in questions(count, seed):
        names = [f"{row['id']}-{number}.png" for number in range(len(row["pictures"]))]
        for name, picture in zip(names, row.pop("pictures"), strict=True):
            picture.save(folder / name)
        lines.append(json.dumps({**row, "images": names}) + "\n")
    path = folder / "shapes.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def build_processor() -> Qwen3VLProcessor:
    """Return a processor with Qwen3-VL's chat template, patches of 4 pixels, and a tokenizer of 512 entries."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [f"{row['prompt']} {row['solution']} {DataConfig().instruction} user assistant" for row in questions(50)]
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    processor = without_videos(Qwen3VLProcessor)(
        image_processor=Qwen2VLImageProcessorPil(
            patch_size=PATCH, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 64, "longest_edge": 4096}
        ),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="<|endoftext|>",
            eos_token="<|im_end|>",
            additional_special_tokens=list(SPECIAL),
        ),
        chat_template=(Path(trl.__file__).parent / "chat_templates" / "qwen3_vl.jinja").read_text(encoding="utf-8"),
    )
    # Other programs load the whole processor, its part for videos too.
    video = {"video_processor_type": "Qwen3VLVideoProcessor", "patch_size": PATCH, "merge_size": 2}
    processor.video_settings = json.dumps(video | {"size": {"shortest_edge": 64, "longest_edge": 4096}})
    return processor


def build_model(processor: Qwen3VLProcessor, seed: int = 0, hidden: int = 32) -> Qwen3VLForConditionalGeneration:
    """Return a random model. Its weights are large enough for an image to move the probabilities."""
    tokenizer = processor.tokenizer
    token = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 2 * hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 32,  # the smallest that vLLM's CPU kernels have
            "max_position_embeddings": 2048,
            "initializer_range": 0.2,
            # The three sections (time, height, width) are half a head wide together.
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [8, 4, 4],
                "mrope_interleaved": True,
            },
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": hidden,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.2,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    return Qwen3VLForConditionalGeneration(config)


def write_model(folder: Path, seed: int = 0, hidden: int = 32) -> Path:
    """Write a random model with its processor."""
    processor = build_processor()
    build_model(processor, seed, hidden).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    target = Path(sys.argv[1])
    data = write_questions(target / "data", 40)
    print(
        f"rlsd train --method rlsd --set model.path={write_model(target / 'model')} --set task.name=dataset "
        f"--set task.data.path={data} --set task.data.columns.images=images --set task.data.held_out=8 "
        "--set task.data.max_completion_tokens=32 --set train.steps=2 --set train.prompts_per_step=2 "
        "--set train.group_size=2"
    )
