"""The teacher's pass over shared prompts against one full pass over every row."""

import pytest
import torch
from trainers import one_batch, reward_even_length

from rlsd_cli.training import passes, small
from rlsd_cli.training.shared_prompt import can_share

RLSD = {"teacher": {"source": "frozen", "reference": "solution"}, "train": {"temperature": 0.8}}


@pytest.fixture
def batch_of(tiny_trainer, monkeypatch):
    """A trainer and a batch with padding on both sides: references of two lengths, completions of several."""
    monkeypatch.setattr(small, "can_fuse", lambda model: False)

    def make(method):
        trainer = reward_even_length(tiny_trainer(method, RLSD))
        rows, batch = one_batch(trainer)
        texts = [row["solution"] if index >= 4 else "7" for index, row in enumerate(rows)]
        trainer.passes.prepare("teacher", rows, texts, batch)
        assert (batch["teacher_prompt_mask"] == 0).any()
        assert (batch["completion_mask"] == 0).any()
        return trainer, batch

    return make


def test_log_probs_equal_those_of_a_full_pass(batch_of, monkeypatch):
    trainer, batch = batch_of("rlsd")
    assert can_share(trainer.teacher_of("teacher").model(trainer.model), batch)
    shared = trainer.passes.logps("teacher", batch)
    monkeypatch.setattr(passes, "can_share", lambda *arguments: False)
    full = trainer.passes.logps("teacher", batch)
    real = batch["completion_mask"].bool()
    assert torch.allclose(shared[real], full[real], atol=2e-6)
    assert full[real].std() > 0.01


def test_hidden_states_equal_those_of_a_full_pass(batch_of, monkeypatch):
    trainer, batch = batch_of("opsd")
    shared = trainer.passes.hidden("teacher", batch)
    monkeypatch.setattr(passes, "can_share", lambda *arguments: False)
    full = trainer.passes.hidden("teacher", batch)
    real = batch["completion_mask"].bool()
    assert shared.shape == full.shape
    assert torch.allclose(shared[real], full[real], atol=1e-5)


def test_prompts_that_differ_in_every_row_and_single_tokens_take_the_full_pass(batch_of):
    trainer, batch = batch_of("rlsd")
    module = trainer.teacher_of("teacher").model(trainer.model)
    rows = dict(batch, teacher_prompt_ids=batch["teacher_prompt_ids"].clone())
    rows["teacher_prompt_ids"][:, -1] = torch.arange(8) + 2
    assert not can_share(module, rows)
    assert not can_share(module, dict(batch, completion_ids=batch["completion_ids"][:, :1]))
    assert not can_share(module, dict(batch, pixel_values=torch.zeros(1)))
    assert not can_share(torch.nn.DataParallel(module), batch)
