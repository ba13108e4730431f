"""The wiring of RLSD: what reaches the teacher, what reaches the loss, what does not."""

import math
from dataclasses import replace

import pytest
import torch
from trainers import history, one_batch, plain_logps, reward_even_length

from rlsd_cli import objectives
from rlsd_cli.arms import View


def test_mix_zero_trains_exactly_as_grpo(tiny_trainer):
    grpo = history(reward_even_length(tiny_trainer("grpo", folder="a")))
    rlsd = history(reward_even_length(tiny_trainer("rlsd", {"objective": {"mix": 0.0}}, folder="b")))
    assert grpo == rlsd
    assert any(line[1] > 0 for line in grpo)  # there was a gradient to compare


def test_mix_above_zero_trains_otherwise(tiny_trainer):
    grpo = history(reward_even_length(tiny_trainer("grpo", folder="a")))
    rlsd = history(reward_even_length(tiny_trainer("rlsd", folder="b")))
    assert grpo[0] != rlsd[0]


def test_teacher_sees_the_reference_and_the_student_never_does(tiny_trainer):
    trainer = tiny_trainer("rlsd", {"teacher": {"reference": "solution"}})
    rows, batch = one_batch(trainer)
    decode = trainer.processing_class.decode
    for row, student, teacher in zip(rows, batch["prompt_ids"], batch["teacher_prompt_ids"], strict=True):
        open_book, closed_book = decode(teacher, skip_special_tokens=True), decode(student, skip_special_tokens=True)
        assert open_book == f"reference {row['solution']} {row['prompt']}"
        assert closed_book == row["prompt"]
        assert row["solution"] not in closed_book


def test_loss_and_gradient_equal_the_equation_written_out(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("rlsd", {"teacher": {"source": "online", "reference": "solution"}}))
    _, batch = one_batch(trainer)
    assert (batch["advantages"] != 0).any()
    trainer.model.zero_grad()
    loss = trainer._compute_loss(trainer.model, batch)
    loss.backward()
    gradient = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}

    trainer.model.zero_grad()
    student = plain_logps(trainer.model, batch["prompt_ids"], batch["prompt_mask"], batch)
    with torch.no_grad():
        teacher = plain_logps(trainer.model, batch["teacher_prompt_ids"], batch["teacher_prompt_mask"], batch)
    mask = batch["completion_mask"]
    delta = objectives.privileged_gain(teacher, student, mask)
    assert delta.abs().max() > 0.01
    credit = objectives.rlsd_advantage(batch["advantages"], delta, 0.5 * (1 - 1 / 50), 0.2)
    ratio = torch.exp(student - student.detach())
    expected = -(ratio * credit * mask).sum(1) / mask.sum(1)
    expected.mean().backward()
    assert loss.item() == pytest.approx(expected.mean().item(), abs=1e-6)
    for name, parameter in trainer.model.named_parameters():
        assert torch.allclose(gradient[name], parameter.grad, atol=1e-6), name


def test_same_prompt_for_teacher_and_student_gives_grpo(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("rlsd", {"teacher": {"source": "online"}}))
    trainer.views = {"teacher": View("prompt")}
    _, batch = one_batch(trainer)
    loss = trainer._compute_loss(trainer.model, batch)
    means = trainer.means.take()
    assert means["rlsd/delta_abs_mean"] == 0.0
    assert means["rlsd/weight_mean"] == 1.0
    plain = tiny_trainer("grpo", folder="plain")
    plain.model.load_state_dict(trainer.model.state_dict())
    plain.model.train()
    plain.current_gradient_accumulation_steps = 1
    assert plain._compute_loss(plain.model, batch).item() == loss.item()


def test_rows_without_a_reference_keep_the_plain_advantage(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("rlsd", {"teacher": {"source": "online"}}))
    trainer.views = {"teacher": View(lambda rollouts: [None] * len(rollouts))}
    _, batch = one_batch(trainer)
    assert not batch["teacher_present"].any()
    loss = trainer._compute_loss(trainer.model, batch)
    assert math.isnan(trainer.means.take()["rlsd/weight_mean"])
    trainer.arm = replace(trainer.arm, credit=None)
    assert trainer._compute_loss(trainer.model, batch).item() == loss.item()


def test_the_teachers_weights_get_no_gradient_and_move_only_when_synced(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("rlsd", {"teacher": {"source": "synced", "sync_every": 2}}))
    teacher = trainer.teacher_of("teacher").model(trainer.model)
    start = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    trainer.teacher_of("teacher").after_step(1, trainer.model)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.01)
    trainer.teacher_of("teacher").after_step(1, trainer.model)
    assert all(torch.equal(start[name], tensor) for name, tensor in teacher.state_dict().items())
    trainer.teacher_of("teacher").after_step(2, trainer.model)
    student = trainer.model.state_dict()
    assert all(torch.equal(student[name], tensor) for name, tensor in teacher.state_dict().items())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_micro_batches_train_like_one_batch(tiny_trainer):
    whole = history(reward_even_length(tiny_trainer("rlsd", folder="a")), ("loss", "grad_norm", "reward"))
    parts = history(
        reward_even_length(tiny_trainer("rlsd", {"train": {"micro_batch": 2}}, folder="b")),
        ("loss", "grad_norm", "reward"),
    )
    assert torch.allclose(torch.tensor(whole), torch.tensor(parts), atol=1e-5)
