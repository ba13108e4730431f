"""Pre-training of an embedded base from its recipe."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from rlsd_cli.config.recipe import Recipe
from rlsd_cli.runs.directory import write_json
from rlsd_cli.tasks.arithmetic import MODULUS
from rlsd_cli.testbed.corpus import CORPUS_VERSION, Text, training_text
from rlsd_cli.testbed.network import build_model, build_tokenizer

IGNORED = -100
MICRO_BATCHES = 4
WARMUP_STEPS = 50
GROWING_SHARE = 0.3  # of the steps
FIRST_OPEN_BOOK_SHARE = 0.95


def encode_batch(texts: list[Text], tokenizer: PreTrainedTokenizerFast) -> dict[str, Tensor]:
    """Tokenize texts; labels cover the completion and its end token only."""
    rows, labels = [], []
    for text in texts:
        prompt_ids = tokenizer(f"{text.prompt} {text.context}")["input_ids"]
        completion_ids = [*tokenizer(text.completion)["input_ids"], tokenizer.eos_token_id]
        rows.append(torch.tensor(prompt_ids + completion_ids))
        labels.append(torch.tensor([IGNORED] * len(prompt_ids) + completion_ids))
    pad = torch.nn.utils.rnn.pad_sequence
    lengths = torch.tensor([len(row) for row in rows])
    input_ids = pad(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
    return {
        "input_ids": input_ids,
        "attention_mask": (torch.arange(input_ids.size(1)) < lengths[:, None]).long(),
        "labels": pad(labels, batch_first=True, padding_value=IGNORED),
    }


def mix_at(step: int, recipe: Recipe) -> tuple[Recipe, int]:
    """Return the mix of a step, and the most operations of its texts.

    Pre-training begins with texts of at most two operations, nearly all with a solution as reference whose words are
    all repeated, stays there for the recipe's drill, and then moves evenly to the recipe's mix and full length. With
    the full mix from the start, words are not copied from references, and ten operations are not learnt, within the
    steps that are spent.
    """
    done = min(1.0, max(0, step - recipe.drill_steps) / (GROWING_SHARE * recipe.steps))
    shares = {
        "open_book_share": FIRST_OPEN_BOOK_SHARE + done * (recipe.open_book_share - FIRST_OPEN_BOOK_SHARE),
        "answer_share": done * recipe.answer_share,
        "copy_words": 1 + done * (recipe.copy_words - 1),
    }
    last = recipe.operations + 1
    return recipe.model_copy(update=shares), min(last, 2 + int((last - 1) * done))


def batches(step: int, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> list[dict[str, Tensor]]:
    """Return the texts of one step; neighbours in length share a micro-batch: half the padding, the same gradient."""
    rng = random.Random(f"pretrain-{recipe.seed}-{step}")
    mix, longest = mix_at(step, recipe)
    texts = [training_text(rng, mix, longest) for _ in range(recipe.batch_size)]
    texts.sort(key=lambda text: sum(len(part.split()) for part in text))
    part = -(-recipe.batch_size // MICRO_BATCHES)
    return [encode_batch(texts[i : i + part], tokenizer) for i in range(0, len(texts), part)]


def pretrain(
    recipe: Recipe, output_dir: Path, on_step: Callable[[int, float], None] = lambda step, loss: None
) -> Qwen3ForCausalLM:
    """Pre-train a base model and save it with its tokenizer and recipe.

    Args:
        recipe: Seed, sizes and mix.
        output_dir: Where the checkpoint goes (safetensors).
        on_step: Called with the step number (from 1) and its loss in nats per token.
    """
    tokenizer = build_tokenizer()
    model = build_model(recipe)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        # Warm up, hold, and fall to zero over the last fifth.
        lambda step: min(1.0, (step + 1) / WARMUP_STEPS, (recipe.steps - step) / (0.2 * recipe.steps)),
    )
    for step in range(1, recipe.steps + 1):
        parts = batches(step, recipe, tokenizer)
        tokens = sum(int((part["labels"] != IGNORED).sum()) for part in parts)
        total = 0.0
        for part in parts:
            loss = model(**part, num_items_in_batch=tokens).loss
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        on_step(step, total)
    output_dir.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)
    digest = hashlib.sha256((output_dir / "model.safetensors").read_bytes()).hexdigest()
    made_of = {"corpus": CORPUS_VERSION, "modulus": MODULUS, "sha256": digest}
    write_json(output_dir / "recipe.json", {**recipe.model_dump(), **made_of})
    return model
