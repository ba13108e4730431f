"""The models and questions of the cases."""

import json
from pathlib import Path

import tiny_qwen3_vl
import torch
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from rlsd_cli.config.data import LAYOUTS


def write_text_model(folder, hidden=32, seed=0, tied=False):
    """Write a random Qwen3, by default with an output layer of its own as the 8B models have."""
    tokenizer = AutoTokenizer.from_pretrained(Path(__file__).parents[2] / "rlsd_cli" / "assets" / "micro-base")
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        intermediate_size=64,
        max_position_embeddings=256,
        initializer_range=0.1,
        tie_word_embeddings=tied,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_places(folder):
    """Write a text and a vision model, a teacher of each kind, and questions with pictures."""
    folder = Path(folder)
    return {
        "text": write_text_model(folder / "text"),
        "text-teacher": write_text_model(folder / "text-teacher", hidden=64, seed=1),
        "tied": write_text_model(folder / "tied", tied=True),
        "vision": tiny_qwen3_vl.write_model(folder / "vision"),
        "vision-teacher": tiny_qwen3_vl.write_model(folder / "vision-teacher", seed=1, hidden=64),
        "shapes": tiny_qwen3_vl.write_questions(folder / "shapes", 16),
        "mixed": write_mixed(folder / "mixed"),
        "rows": write_rows(folder / "rows"),
    }


def write_rows(folder):
    """Write questions by the names that the paper's data set has for its columns."""
    path = tiny_qwen3_vl.write_questions(folder, 16)
    names = {"prompt": "problem", "solution": LAYOUTS["rlsd"].solution}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({names.get(key, key): row[key] for key in row}) + "\n" for row in rows))
    return path


def write_mixed(folder):
    """Write questions of which every second one has no picture."""
    path = tiny_qwen3_vl.write_questions(folder, 16)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(
            json.dumps({**row, "images": row["images"] if place % 2 else []}) + "\n" for place, row in enumerate(rows)
        )
    )
    return path
