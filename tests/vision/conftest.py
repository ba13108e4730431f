"""A tiny Qwen3-VL, questions about pictures, and runs on them."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import tiny_qwen3_vl

from rlsd_cli.tasks.base import Verdict
from rlsd_cli.tasks.dataset import DatasetTask


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
def vl_config(vl_model: Path, vl_teacher: Path, shapes: Path):
    """A function that builds a small configuration: 2 steps of 2 questions × 4 rollouts of up to 8 tokens."""
    from rlsd_cli.config import build

    def make(method: str, *layers: dict[str, Any]):
        data = {"path": str(shapes), "columns": {"images": "images"}, "held_out": 2, "max_completion_tokens": 8}
        small = {
            "method": method,
            "model": {"path": str(vl_model)},
            "task": {"name": "dataset", "data": data},
            "teacher": {"reference": "solution", **({"model": str(vl_teacher)} if method == "opd" else {})},
            "train": {
                "steps": 2,
                "prompts_per_step": 2,
                "group_size": 4,
                "micro_batch": 4,
                "save_every": 1,
                "learning_rate": 1e-3,
                "threads": 1,
            },
            "log": {"probe_every": 2, "probe_prompts": 2, "probe_group": 2},
        }
        return build([small, *layers])

    return make


@pytest.fixture
def vl_trainer(vl_config, tmp_path: Path):
    """A function that builds an arm's trainer on the tiny Qwen3-VL."""
    from rlsd_cli.artifacts import RunDir
    from rlsd_cli.training.run import build_trainer, quiet_libraries

    quiet_libraries(1)

    def make(method: str, *layers: dict[str, Any], folder: str = "run"):
        return build_trainer(vl_config(method, *layers), RunDir(tmp_path / folder), lambda record: None)[0]

    return make


@pytest.fixture
def earns_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right are completions with an even number of characters: about half of a random model's."""
    monkeypatch.setattr(
        DatasetTask, "verify", lambda self, text, answer, example_id="": Verdict(len(text) % 2 == 0, "")
    )
