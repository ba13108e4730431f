"""Pre-training of the embedded base models from a seed: the recipe behind the shipped checkpoints.

Open-book and closed-book solutions are mixed, so the model can both solve a question
and make use of a reference. Open-book steps cite the reference with a fixed
probability; closed-book steps never do (docs/testbed.md says what follows from that).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from rlsd_cli.tasks.arithmetic import CITATION, MODULUS, VOCABULARY, ArithmeticTask, Spec, make_example

IGNORED = -100
MICRO_BATCHES = 4


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a checkpoint's weights on a given machine."""

    seed: int = 0
    steps: int = 700
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    intermediate_size: int = 384
    max_operations: int = 5
    open_book_share: float = 0.5
    distractor_share: float = 0.15
    citation_probability: float = 0.12


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the testbed's tokenizer: one token per number and per word."""
    vocabulary = {token: i for i, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Return a randomly initialised model of the recipe's size."""
    torch.manual_seed(recipe.seed)
    config = Qwen3Config(
        vocab_size=len(VOCABULARY),
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.hidden_size // recipe.heads,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        attention_dropout=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return Qwen3ForCausalLM(config)


def cite(solution: str, rng: random.Random, probability: float) -> str:
    """Prefix each step of a solution with the citation, independently with ``probability``."""
    steps = solution.split(" ; ")
    return " ; ".join(f"{CITATION} {step}" if rng.random() < probability else step for step in steps)


def training_text(rng: random.Random, recipe: Recipe, task: ArithmeticTask) -> tuple[str, str]:
    """Draw one (prompt, completion) pair of the mix."""
    spec = Spec(
        operations=rng.randint(1, recipe.max_operations),
        distractor=rng.random() < recipe.distractor_share,
    )
    example = make_example(rng, spec, "")
    if rng.random() >= recipe.open_book_share:
        return example.prompt, example.solution
    reference = example.reference(rng.choice(("answer", "solution", "other_route")))
    return task.teacher_prompt(example.prompt, reference), cite(example.solution, rng, recipe.citation_probability)


def pair_length(pair: tuple[str, str]) -> int:
    """Return the words of a (prompt, completion) pair."""
    return sum(len(text.split()) for text in pair)


def encode_batch(pairs: list[tuple[str, str]], tokenizer: PreTrainedTokenizerFast) -> dict[str, torch.Tensor]:
    """Tokenize (prompt, completion) pairs; labels cover the completion and its end token only."""
    rows, labels = [], []
    for prompt, completion in pairs:
        prompt_ids = tokenizer(prompt)["input_ids"]
        completion_ids = [*tokenizer(completion)["input_ids"], tokenizer.eos_token_id]
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
    model = build_model(recipe, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        # Warm up, hold, and fall to zero over the last fifth.
        lambda step: min(1.0, (step + 1) / recipe.warmup_steps, (recipe.steps - step) / (0.2 * recipe.steps)),
    )
    task = ArithmeticTask()
    for step in range(1, recipe.steps + 1):
        rng = random.Random(f"pretrain-{recipe.seed}-{step}")
        pairs = sorted((training_text(rng, recipe, task) for _ in range(recipe.batch_size)), key=pair_length)
        # Neighbours in length share a micro-batch: half the padding, the same gradient.
        part = max(1, recipe.batch_size // MICRO_BATCHES)
        batches = [encode_batch(pairs[i : i + part], tokenizer) for i in range(0, len(pairs), part)]
        tokens = sum(int((batch["labels"] != IGNORED).sum()) for batch in batches)
        total = 0.0
        for batch in batches:
            loss = model(**batch, num_items_in_batch=tokens).loss
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
    (output_dir / "recipe.json").write_text(json.dumps({**asdict(recipe), "modulus": MODULUS}, indent=1) + "\n")
    return model
