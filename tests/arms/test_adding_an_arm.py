"""docs/adding-an-arm.md is run as it stands."""

import re
import sys
from pathlib import Path

import pytest
import torch
from trainers import history, reward_even_length

from rlsd_cli import arms
from rlsd_cli.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-arm.md"


@pytest.fixture
def positive(tmp_path, monkeypatch):
    """The page's module, importable and registered."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S).group(1)
    (tmp_path / "positive_from_docs.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(arms.ARMS, "positive", "positive_from_docs")
    yield
    sys.modules.pop("positive_from_docs", None)


def test_the_worked_example_trains(positive, tiny_trainer):
    trained = history(reward_even_length(tiny_trainer("positive")))
    assert len(trained) == 3


def test_its_limit_is_grpo_to_the_bit(positive, tiny_trainer):
    grpo = history(reward_even_length(tiny_trainer("grpo", folder="a")))
    limit = history(reward_even_length(tiny_trainer("positive", {"objective": {"negative_share": 1.0}}, folder="b")))
    assert grpo == limit


def test_its_pure_part_by_hand(positive):
    from positive_from_docs import positive_part

    assert torch.equal(positive_part(torch.tensor([2.0, -2.0]), 0.25), torch.tensor([2.0, -0.5]))


def test_its_options_are_checked(positive, tiny_config):
    with pytest.raises(UserError, match="negative_share"):
        tiny_config("positive", {"objective": {"negative_share": 2}})
