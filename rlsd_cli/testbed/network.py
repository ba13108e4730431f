"""The embedded bases' tokenizer and network."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from rlsd_cli.config.recipe import Recipe
from rlsd_cli.tasks.arithmetic import VOCABULARY

CONTEXT = 512  # tokens


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
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def configuration(recipe: Recipe) -> Qwen3Config:
    """Return the network's configuration."""
    return Qwen3Config(
        vocab_size=len(VOCABULARY),
        hidden_size=recipe.width,
        intermediate_size=4 * recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.head_dim,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        attention_dropout=0.0,
        pad_token_id=VOCABULARY.index("<pad>"),
        eos_token_id=VOCABULARY.index("<eos>"),
        bos_token_id=None,
    )


def build_model(recipe: Recipe) -> Qwen3ForCausalLM:
    """Return a randomly initialised model of the recipe's size and seed."""
    torch.manual_seed(recipe.seed)
    return Qwen3ForCausalLM(configuration(recipe))
