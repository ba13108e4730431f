"""A tiny Qwen3-VL, questions about pictures, and runs on them."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import tiny_qwen3_vl
from trainers import trainer_maker

from rlsd_cli.tasks.dataset import DatasetTask
from rlsd_cli.verifiers.verdict import Verdict


@pytest.fixture(scope="session")
def vl_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3-VL with its processor."""
    return tiny_qwen3_vl.write_model(tmp_path_factory.mktemp("tiny-vl"))


@pytest.fixture(scope="session")
def vl_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, wider, with the same vocabulary."""
    return tiny_qwen3_vl.write_model(tmp_path_factory.mktemp("tiny-vl-teacher"), seed=1, hidden=64)


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Questions about pictures, one or two of different sizes for each."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tiny_qwen3_vl.write_questions(tmp_path / "shapes", 16)


@pytest.fixture
def vl_config(tiny_config, vl_model: Path, vl_teacher: Path, shapes: Path):
    """A function that builds a small configuration: 2 steps of 2 questions × 4 rollouts of up to 8 tokens."""

    def make(method: str, *layers: dict[str, Any]):
        data = {"path": str(shapes), "columns": {"images": "images"}, "held_out": 2, "max_completion_tokens": 8}
        small = {
            "model": {"path": str(vl_model)},
            "task": {"name": "dataset", "data": data},
            "teacher": {"reference": "solution", **({"model": str(vl_teacher)} if method == "opd" else {})},
            "train": {"steps": 2, "micro_batch": 4, "max_completion_tokens": None, "save_every": 1},
        }
        return tiny_config(method, small, *layers)

    return make


@pytest.fixture
def vl_trainer(vl_config, tmp_path: Path):
    """A function that builds an arm's trainer on the tiny Qwen3-VL."""
    return trainer_maker(vl_config, tmp_path)


@pytest.fixture
def earns_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right are completions with an even number of characters: about half of a random model's."""
    monkeypatch.setattr(
        DatasetTask, "verify", lambda self, text, answer, example_id="": Verdict(len(text) % 2 == 0, "")
    )
