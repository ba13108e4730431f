"""Shared by all tests: offline, one thread, quiet libraries."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialised model of 20 thousand parameters with the testbed's tokenizer."""
    from rlsd_cli.config.recipe import Recipe
    from rlsd_cli.testbed.network import build_model, build_tokenizer

    path = tmp_path_factory.mktemp("tiny-model")
    tokenizer = build_tokenizer()
    recipe = Recipe(width=32, layers=2, heads=2, head_dim=16)
    build_model(recipe).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def tiny_config(tiny_model: Path):
    """A function that builds a small configuration: 3 steps of 2 prompts × 4 rollouts of up to 12 tokens."""
    from rlsd_cli.arms.configure import build

    def make(method: str, *layers: dict[str, Any]):
        small = {
            "method": method,
            "model": {"path": str(tiny_model)},
            "train": {
                "steps": 3,
                "prompts_per_step": 2,
                "group_size": 4,
                "max_completion_tokens": 12,
                "save_every": 2,
                "learning_rate": 1e-3,
                "threads": 1,
            },
            "log": {"probe_every": 2, "probe_prompts": 2, "probe_group": 2},
        }
        return build([small, *layers])

    return make


@pytest.fixture
def tiny_trainer(tiny_config, tmp_path: Path):
    """A function that builds an arm's trainer on the tiny model."""
    from trainers import trainer_maker

    return trainer_maker(tiny_config, tmp_path)
