"""The wiring of the arms that distil: OPSD, SDPO, GRPO+OPSD, OPD."""

import pytest
import torch
from trainers import history, one_batch, plain_logits, reward_even_length

from rlsd_cli.arms.rollouts import Rollouts, texts_of
from rlsd_cli.divergences import divergence
from rlsd_cli.errors import UserError
from rlsd_cli.training import head

VARIANTS = [
    {},
    {"beta": 1.0},
    {"beta": 0.5, "entry_clip": 0.05},
    {"support": "top_k", "top_k": 4, "beta": 1.0},
    {"support": "teacher_top1"},
    {"support": "student_top1"},
]


@pytest.mark.parametrize("objective", VARIANTS, ids=str)
def test_opsd_loss_and_gradient_equal_the_definition_from_plain_logits(tiny_trainer, objective):
    trainer = tiny_trainer("opsd", {"objective": objective})
    _, batch = one_batch(trainer)
    trainer.model.zero_grad()
    loss = trainer._compute_loss(trainer.model, batch)
    loss.backward()
    gradient = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}

    trainer.model.zero_grad()
    student = plain_logits(trainer.model, batch["prompt_ids"], batch["prompt_mask"], batch)
    with torch.no_grad():
        teacher = plain_logits(trainer.model, batch["teacher_prompt_ids"], batch["teacher_prompt_mask"], batch)
    mask = batch["completion_mask"]
    expected, rows = 0.0, mask.size(0)
    for row in range(rows):  # one completion at a time, padding cut off
        length = int(mask[row].sum())
        expected = expected + divergence(student[row, :length], teacher[row, :length], **objective).mean() / rows
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert any(tensor.abs().max() > 1e-6 for tensor in gradient.values())
    for name, parameter in trainer.model.named_parameters():
        assert torch.allclose(gradient[name], parameter.grad, atol=1e-6), name


def test_token_aggregation_is_the_mean_over_all_tokens(tiny_trainer):
    trainer = tiny_trainer("opsd", {"train": {"aggregation": "token"}})
    _, batch = one_batch(trainer)
    loss = trainer._compute_loss(trainer.model, batch)
    mean = trainer.means.take()["distillation/loss"]
    assert loss.item() == pytest.approx(mean, rel=1e-5)


def test_chunks_change_neither_loss_nor_gradient(tiny_trainer, monkeypatch):
    trainer = tiny_trainer("opsd")
    _, batch = one_batch(trainer)
    found = []
    for elements in (2**24, 200):  # all tokens at once; four tokens at a time
        monkeypatch.setattr(head, "CHUNK_ELEMENTS", elements)
        trainer.model.zero_grad()
        trainer._compute_loss(trainer.model, batch).backward()
        found.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]))
    assert torch.allclose(found[0], found[1], atol=1e-7)


def test_without_its_divergence_the_mix_is_grpo_to_the_bit(tiny_trainer):
    grpo = history(reward_even_length(tiny_trainer("grpo", folder="a")))
    mixed = history(
        reward_even_length(tiny_trainer("grpo_opsd", {"objective": {"distillation_weight": 0.0}}, folder="b"))
    )
    assert grpo == mixed


def test_the_mix_is_the_sum_of_both_losses(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("grpo_opsd", {"objective": {"distillation_weight": 0.3}}))
    _, batch = one_batch(trainer)
    both = trainer._compute_loss(trainer.model, batch).item()
    divergence_alone = trainer.means.take()["distillation/loss"]
    trainer.options = trainer.options.model_copy(update={"distillation_weight": 0.0})
    policy_alone = trainer._compute_loss(trainer.model, batch).item()
    # All completions have the same length here or not: compare through the sequence mean of the record.
    trainer.options = trainer.options.model_copy(update={"distillation_weight": 1.0, "policy_weight": 0.0})
    sequence = trainer._compute_loss(trainer.model, batch).item()
    assert both == pytest.approx(policy_alone + 0.3 * sequence, abs=1e-6)
    assert divergence_alone > 0


def test_siblings_are_right_and_never_the_sample_itself():
    texts = ["a", "b", "c", "d", "e", "f"]
    correct = [False, True, True, True, False, False]
    #        group 1: b and c are right; group 2: only d is.
    rollouts = Rollouts([""] * 6, texts, correct, [""] * 6, {}, "answer", 3)
    assert texts_of("sibling:right", rollouts) == ["b", "c", "b", None, "d", "d"]
    assert texts_of("sibling:wrong", rollouts) == [None, "a", "a", "e", "f", "e"]
    assert texts_of("sibling:wrong:1", rollouts) == [None, None, None, "f", None, None]


def test_sdpo_masks_samples_without_a_successful_sibling(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("sdpo", {"objective": {"top_k": 8}}))
    _, batch = one_batch(trainer)
    kept = batch["teacher_present"]
    assert kept.tolist() == [text is not None for text in trainer.shown["teacher"]]
    for index, text in enumerate(trainer.shown["teacher"]):
        group = range(index - index % 4, index - index % 4 + 4)
        if text:
            rights = [i for i in group if i != index and trainer.reward.record["correct"][i]]
            assert text == trainer.reward.record["completion"][rights[0]]
    trainer._compute_loss(trainer.model, batch)
    nothing = dict(batch, teacher_present=torch.zeros_like(kept))
    trainer.model.zero_grad()
    loss = trainer._compute_loss(trainer.model, nothing)
    loss.backward()
    assert loss.item() == 0.0
    assert all(p.grad is None or not p.grad.any() for p in trainer.model.parameters())


def test_opd_takes_the_other_models_word_for_the_same_prompt(tiny_trainer, tiny_model):
    trainer = tiny_trainer("opd", {"teacher": {"model": str(tiny_model)}})
    _, batch = one_batch(trainer)
    assert torch.equal(batch["teacher_prompt_ids"], batch["prompt_ids"])
    trainer._compute_loss(trainer.model, batch)
    # Here the other model has the student's weights: nothing to learn.
    assert trainer.means.take()["distillation/loss"] == pytest.approx(0.0, abs=1e-6)


def test_opd_without_a_teacher_is_refused(tiny_trainer):
    with pytest.raises(UserError, match=r"teacher\.model"):
        tiny_trainer("opd")


@pytest.mark.parametrize("method", ["opsd", "rlsd", "grpo_opsd"])
@pytest.mark.parametrize("source", ["online", "frozen", "synced", "ema"])
def test_every_teacher_serves_every_arm(tiny_trainer, method, source):
    trainer = tiny_trainer(method, {"teacher": {"source": source, "reference": "other_route"}, "train": {"steps": 1}})
    rows, batch = one_batch(trainer)
    opened = trainer.processing_class.decode(batch["teacher_prompt_ids"][0], skip_special_tokens=True)
    assert rows[0]["other_route"] in opened
    assert (trainer.teacher_of("teacher").model(trainer.model) is trainer.model) == (source == "online")


def test_an_ema_teacher_moves_by_its_rate(tiny_trainer):
    trainer = tiny_trainer("sdpo", {"teacher": {"ema_rate": 0.25}})
    teacher = trainer.teacher_of("teacher").model(trainer.model)
    before = teacher.model.norm.weight.clone()
    with torch.no_grad():
        trainer.model.model.norm.weight.add_(1.0)
    trainer.teacher_of("teacher").after_step(1, trainer.model)
    assert torch.allclose(teacher.model.norm.weight, before + 0.25)
