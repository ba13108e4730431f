"""Pre-training of an embedded base from its recipe."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from rlsd_cli.config.recipe import Recipe
from rlsd_cli.runs.directory import write_json
from rlsd_cli.tasks.arithmetic import CITATION, FILLERS, MODULUS
from rlsd_cli.testbed.corpus import CORPUS_VERSION, Text, Told, training_text
from rlsd_cli.testbed.network import build_model, build_tokenizer

MICRO_BATCHES = 4
WARMUP_STEPS = 50
GROWING_SHARE = 0.3  # of the steps
FALLING_SHARE = 0.4  # of the steps, the last ones: the learning rate falls to zero
FIRST_OPEN_BOOK_SHARE = 0.65
FIRST_OFF_PATH = 0.4
FIRST_OPERATIONS = 3
EMBEDDING_RATE = 4e-3  # of AdamW, for the embeddings and the norms; Muon has the rest

# Weights of the loss at a result, and at a word that a solution tells or has told: the others are dials. They depend on
# what a token follows, never on the token, so that the least loss stays at the corpus's own distribution (the score is
# proper). They spend the steps where there is something to learn.
RESULT_WEIGHT = 4.0
WORD_WEIGHTS: dict[Told, float] = {"solution": 1.0, "left solution": 1.5}
BEFORE_RESULTS = ("=", "answer")
BEFORE_WORDS = (";", "?", CITATION.split()[-1], *FILLERS)


class Batch(NamedTuple):
    """Token ids and the weights of their losses, (B, T): 0 on prompts, contexts and padding, which is on the right."""

    ids: Tensor
    weights: Tensor


def token_weights(text: Text, recipe: Recipe) -> list[float]:
    """Return the weight of each token of a text's completion and of its end token."""
    before = f"{text.prompt} {text.context}".split()[-1]
    words = WORD_WEIGHTS.get(text.told, recipe.idle_weight)
    return [
        RESULT_WEIGHT if left in BEFORE_RESULTS else words if left in BEFORE_WORDS else recipe.form_weight
        for left in (before, *text.completion.split())
    ]


def encode_batch(texts: list[Text], tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> Batch:
    """Tokenize texts and weigh their tokens."""
    vocabulary = tokenizer.get_vocab()
    rows, weights = [], []
    for text in texts:
        prompt, completion = f"{text.prompt} {text.context}".split(), text.completion.split()
        rows.append(torch.tensor([vocabulary[token] for token in (*prompt, *completion, tokenizer.eos_token)]))
        weights.append(torch.tensor([0.0] * len(prompt) + token_weights(text, recipe)))
    pad = torch.nn.utils.rnn.pad_sequence
    return Batch(pad(rows, batch_first=True, padding_value=tokenizer.pad_token_id), pad(weights, batch_first=True))


def mix_at(step: int, recipe: Recipe) -> tuple[Recipe, int]:
    """Return the mix of a step, and the most operations of its texts.

    Pre-training begins with texts of at most three operations, many of them with a solution as reference whose words
    are all repeated, and many that have left it, stays there for the recipe's drill, and then moves evenly to the
    recipe's mix and full length. So following a solution and leaving it are learnt together; with the first alone, a
    reference's next step is copied whether or not the text is still on its path.
    """
    done = min(1.0, max(0, step - recipe.drill_steps) / (GROWING_SHARE * recipe.steps))
    first_off_path = FIRST_OFF_PATH if recipe.off_path else 0.0
    shares = {
        "open_book_share": FIRST_OPEN_BOOK_SHARE + done * (recipe.open_book_share - FIRST_OPEN_BOOK_SHARE),
        "answer_share": done * recipe.answer_share,
        "copy_words": 1 + done * (recipe.copy_words - 1),
        "off_path": first_off_path + done * (recipe.off_path - first_off_path),
    }
    last = recipe.operations + 1
    return recipe.model_copy(update=shares), min(last, FIRST_OPERATIONS + int((last - FIRST_OPERATIONS + 1) * done))


def batches(step: int, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> list[Batch]:
    """Return the texts of one step; neighbours in length share a micro-batch: half the padding, the same gradient."""
    rng = random.Random(f"pretrain-{recipe.seed}-{step}")
    mix, longest = mix_at(step, recipe)
    texts = [training_text(rng, mix, longest) for _ in range(recipe.batch_size)]
    texts.sort(key=lambda text: sum(len(part.split()) for part in text[:3]))
    part = -(-recipe.batch_size // MICRO_BATCHES)
    return [encode_batch(texts[i : i + part], tokenizer, recipe) for i in range(0, len(texts), part)]


def weighted_loss(model: Qwen3ForCausalLM, batch: Batch) -> Tensor:
    """Return the weighted sum of the tokens' losses in nats. Padding is on the right, where causal attention ends."""
    states = model.model(input_ids=batch.ids[:, :-1]).last_hidden_state
    weights, targets = batch.weights[:, 1:], batch.ids[:, 1:]
    scored = weights > 0
    losses = torch.nn.functional.cross_entropy(model.lm_head(states[scored]), targets[scored], reduction="none")
    return (losses * weights[scored]).sum()


def build_optimizers(model: Qwen3ForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return Muon for the hidden matrices and AdamW for the embeddings and norms."""
    hidden = [each for each in model.model.layers.parameters() if each.ndim == 2]
    kept = {id(each) for each in hidden}
    rest = [each for each in model.parameters() if id(each) not in kept]
    return [
        torch.optim.Muon(hidden, lr=recipe.learning_rate, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=EMBEDDING_RATE, weight_decay=0.01, betas=(0.9, 0.98)),
    ]


def pretrain(
    recipe: Recipe, output_dir: Path, on_step: Callable[[int, float], None] = lambda step, loss: None
) -> Qwen3ForCausalLM:
    """Pre-train a base model and save it with its tokenizer and recipe.

    Args:
        recipe: Seed, sizes and mix.
        output_dir: Where the checkpoint goes (safetensors).
        on_step: Called with the step number (from 1) and its loss in nats, a weighted mean over tokens.
    """
    tokenizer = build_tokenizer()
    model = build_model(recipe)
    optimizers = build_optimizers(model, recipe)

    def rate(step: int) -> float:
        """Warm up, hold, and fall to zero."""
        return min(1.0, (step + 1) / WARMUP_STEPS, (recipe.steps - step) / (FALLING_SHARE * recipe.steps))

    schedules = [torch.optim.lr_scheduler.LambdaLR(each, rate) for each in optimizers]
    for step in range(1, recipe.steps + 1):
        parts = batches(step, recipe, tokenizer)
        weight = sum(part.weights.sum().item() for part in parts)
        total = 0.0
        for part in parts:
            loss = weighted_loss(model, part) / weight
            loss.backward()
            total += loss.item()
        for optimizer in optimizers:
            optimizer.step()
        for schedule in schedules:
            schedule.step()
        model.zero_grad()
        on_step(step, total)
    output_dir.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)
    digest = hashlib.sha256((output_dir / "model.safetensors").read_bytes()).hexdigest()
    made_of = {"corpus": CORPUS_VERSION, "modulus": MODULUS, "sha256": digest}
    write_json(output_dir / "recipe.json", {**recipe.model_dump(), **made_of})
    return model
