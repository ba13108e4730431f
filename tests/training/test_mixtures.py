"""Several weighted privileged texts: the teacher is their mixture, and one text is today's teacher to the bit."""

import math

import pytest
import torch
from trainers import history, one_batch, plain_logits, plain_logps

from rlsd_cli.divergences import divergence

TWO = {"teacher": {"references": [{"kind": "answer", "weight": 3.0}, {"kind": "solution", "weight": 1.0}]}}


def test_one_text_of_any_weight_is_the_plain_teacher_to_the_bit(tiny_trainer):
    short = {"train": {"steps": 1}}
    for method in ("rlsd", "opsd"):
        plain = history(tiny_trainer(method, short, {"teacher": {"reference": "answer"}}, folder=f"{method}-a"))
        one = {"teacher": {"references": [{"kind": "answer", "weight": 0.2}]}}
        assert history(tiny_trainer(method, short, one, folder=f"{method}-b")) == plain


def both_teachers(trainer, batch, of):
    with torch.no_grad():
        return [
            of(trainer.model, batch[f"teacher~{kind}_prompt_ids"], batch[f"teacher~{kind}_prompt_mask"], batch)
            for kind in ("answer", "solution")
        ]


def test_the_log_probs_are_those_of_the_mixture(tiny_trainer):
    trainer = tiny_trainer("rlsd", TWO)
    rows, batch = one_batch(trainer)
    opened = [
        trainer.processing_class.decode(batch[f"teacher~{kind}_prompt_ids"][0], skip_special_tokens=True)
        for kind in ("answer", "solution")
    ]
    assert f"answer {rows[0]['answer']}" in opened[0]
    assert rows[0]["solution"] in opened[1]
    answer, solution = both_teachers(trainer, batch, plain_logps)
    expected = (0.75 * answer.exp() + 0.25 * solution.exp()).log()
    mask = batch["completion_mask"].bool()
    assert torch.allclose(trainer.mixtures.logps("teacher", batch)[mask], expected[mask], atol=1e-5)
    assert (answer - solution).abs().max() > 1e-3


def test_the_divergence_is_that_to_the_mixture(tiny_trainer):
    trainer = tiny_trainer("opsd", TWO, {"objective": {"beta": 0.5}, "train": {"aggregation": "token"}})
    _, batch = one_batch(trainer)
    loss = trainer._compute_loss(trainer.model, batch)
    answer, solution = both_teachers(trainer, batch, plain_logits)
    mixture = (0.75 * answer.softmax(-1) + 0.25 * solution.softmax(-1)).log()
    student = plain_logits(trainer.model, batch["prompt_ids"], batch["prompt_mask"], batch)
    kept = batch["completion_mask"].bool()
    assert loss.item() == pytest.approx(divergence(student[kept], mixture[kept], beta=0.5).mean().item(), abs=1e-6)


# By hand: weights 3 and 1. A row with both has 3/4 and 1/4, with the second alone 0 and 1, without both no teacher.
def test_weights_are_shared_out_over_the_texts_that_a_row_has(tiny_trainer):
    trainer = tiny_trainer("rlsd", TWO)
    batch = {
        "teacher~answer_present": torch.tensor([True, False, False]),
        "teacher~solution_present": torch.tensor([True, True, False]),
    }
    weights = trainer.mixtures.log_weights("teacher", batch).exp()
    assert weights[:2].tolist() == [[pytest.approx(0.75), pytest.approx(0.25)], [0.0, 1.0]]
    assert math.isclose(weights[2].sum().item(), 1.0, rel_tol=1e-6), "finite where there is no teacher"


def test_equal_texts_mixed_are_the_plain_teacher(tiny_trainer):
    trainer = tiny_trainer("rlsd", TWO)
    _, batch = one_batch(trainer)
    for name in ("prompt_ids", "prompt_mask"):
        batch[f"teacher~solution_{name}"] = batch[f"teacher~answer_{name}"]
    mask = batch["completion_mask"].bool()
    plain = trainer.passes.logps("teacher~answer", batch)
    assert torch.allclose(trainer.mixtures.logps("teacher", batch)[mask], plain[mask], atol=1e-6)
