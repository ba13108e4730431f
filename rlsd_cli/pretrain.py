"""Pre-training of the embedded base models from a seed: the recipe behind the shipped checkpoints.

Open-book and closed-book solutions are mixed, so the model can both solve a question and make
use of a reference. Two habits are built in on purpose (docs/testbed.md says what follows):

* Misconceptions. For a fixed share of the facts "a op b", closed-book text gives the same wrong
  result with a fixed probability. The base thus holds wrong beliefs of different strength, as large
  models do, and has something to unlearn; how much is set here and not by when training stopped.
* Citations. Open-book steps cite the reference with a fixed probability; closed-book steps never do.

Open-book text is closed-book text given that it ends at the reference's answer: its steps are
right. Where a completion has left the right path already, it goes on from there.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from rlsd_cli.runs.directory import write_json
from rlsd_cli.tasks.arithmetic import CITATION, MODULUS, VOCABULARY, ArithmeticTask, Spec, apply, make_example
from rlsd_cli.tasks.base import Example

IGNORED = -100
MICRO_BATCHES = 4


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a checkpoint's weights on a given machine."""

    seed: int = 0
    steps: int = 1000
    batch_size: int = 128
    learning_rate: float = 4e-3
    warmup_steps: int = 50
    hidden_size: int = 64
    layers: int = 3
    heads: int = 4
    intermediate_size: int = 256
    max_operations: int = 5
    open_book_share: float = 0.4
    distractor_share: float = 0.15
    citation_probability: float = 0.12
    misconception_share: float = 0.25
    misconception_low: float = 0.6
    misconception_high: float = 0.98
    off_path_share: float = 0.3


# The shipped checkpoints. The teacher of OPD is larger and holds no misconceptions.
RECIPES = {
    "micro-base": Recipe(),
    "micro-teacher": Recipe(seed=1, hidden_size=96, intermediate_size=384, learning_rate=3e-3, misconception_share=0.0),
}


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


def misconception(left: int, symbol: str, right: int, recipe: Recipe) -> tuple[int, float]:
    """Return the wrong result that the corpus holds for a fact and how often it gives it (0: never)."""
    rng = random.Random(f"misconception-{left}-{symbol}-{right}")
    if rng.random() >= recipe.misconception_share:
        return apply(left, symbol, right), 0.0
    wrong = (apply(left, symbol, right) + rng.randint(1, MODULUS - 1)) % MODULUS
    return wrong, rng.uniform(recipe.misconception_low, recipe.misconception_high)


def closed_book_steps(example: Example, rng: random.Random, recipe: Recipe) -> tuple[list[str], int]:
    """Write a solution with the corpus's misconceptions.

    Returns:
        The steps with the answer last, and the index of the first wrong step (their number if none is).
    """
    values, symbols = example.meta["values"], example.meta["symbols"]
    steps: list[str] = []
    result, first_wrong = values[0], len(symbols) + 1
    for symbol, value in zip(symbols, values[1:], strict=True):
        found = apply(result, symbol, value)
        wrong, probability = misconception(result, symbol, value, recipe)
        if rng.random() < probability:
            found, first_wrong = wrong, min(first_wrong, len(steps))
        steps.append(f"{result} {symbol} {value} = {found}")
        result = found
    return [*steps, f"answer {result}"], first_wrong


def training_text(rng: random.Random, recipe: Recipe, task: ArithmeticTask) -> tuple[str, str, str]:
    """Draw (prompt, context, completion) of the mix; the loss is on the completion only."""
    spec = Spec(
        operations=rng.randint(1, recipe.max_operations),
        distractor=rng.random() < recipe.distractor_share,
    )
    example = make_example(rng, spec, "")
    steps, first_wrong = closed_book_steps(example, rng, recipe)
    if rng.random() >= recipe.open_book_share:
        return example.prompt, "", " ; ".join(steps)
    prompt = task.teacher_prompt(example.prompt, example.reference(rng.choice(("answer", "solution", "other_route"))))
    off_path = rng.random() < recipe.off_path_share and first_wrong < len(steps)
    if not off_path:
        steps, first_wrong = example.solution.split(" ; "), -1
    cited = [f"{CITATION} {step}" if rng.random() < recipe.citation_probability else step for step in steps]
    context = "".join(f"{step} ; " for step in cited[: first_wrong + 1])
    return prompt, context, " ; ".join(cited[first_wrong + 1 :])


def length_in_words(texts: tuple[str, ...]) -> int:
    """Return the number of words of a training text."""
    return sum(len(text.split()) for text in texts)


def encode_batch(texts: list[tuple[str, str, str]], tokenizer: PreTrainedTokenizerFast) -> dict[str, torch.Tensor]:
    """Tokenize (prompt, context, completion) triples; labels cover the completion and its end token only."""
    rows, labels = [], []
    for prompt, context, completion in texts:
        prompt_ids = tokenizer(f"{prompt} {context}")["input_ids"]
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
        texts = sorted((training_text(rng, recipe, task) for _ in range(recipe.batch_size)), key=length_in_words)
        # Neighbours in length share a micro-batch: half the padding, the same gradient.
        part = max(1, recipe.batch_size // MICRO_BATCHES)
        batches = [encode_batch(texts[i : i + part], tokenizer) for i in range(0, len(texts), part)]
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
    digest = hashlib.sha256((output_dir / "model.safetensors").read_bytes()).hexdigest()
    write_json(output_dir / "recipe.json", {**asdict(recipe), "modulus": MODULUS, "sha256": digest})
    return model
