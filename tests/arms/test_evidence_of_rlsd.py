"""RLSD's controls in training: each trains, tells what it does, and changes nothing else."""

import pytest
import torch
from trainers import history, one_batch, reward_even_length

from rlsd_cli.errors import UserError

KINDS = ["wrong_reference", "other_reference", "permuted", "noise", "flipped", "sign_mean", "surprisal", "vine"]
LAYER = {"teacher": {"source": "online", "reference": "solution"}, "objective": {"mix_decay_steps": 0}}


def trained(tiny_trainer, evidence, folder):
    trainer = reward_even_length(tiny_trainer("rlsd", LAYER, {"objective": {"evidence": evidence}}, folder=folder))
    return history(trainer)


@pytest.mark.parametrize("evidence", KINDS)
def test_a_control_trains_otherwise_than_the_teacher_and_repeats_itself(tiny_trainer, evidence):
    control = trained(tiny_trainer, evidence, "a")
    assert control != trained(tiny_trainer, "teacher", "b")
    assert control == trained(tiny_trainer, evidence, "c")


@pytest.mark.parametrize("evidence", ["permuted", "noise", "vine"])
def test_a_controls_draws_leave_the_sampled_rollouts_alone(tiny_trainer, evidence):
    frozen = {"train": {"learning_rate": 1e-30}}

    def completions(kind, folder):
        trainer = reward_even_length(
            tiny_trainer("rlsd", LAYER, frozen, {"objective": {"evidence": kind}}, folder=folder)
        )
        seen = []
        plain = trainer._record
        trainer._record = lambda columns: seen.append(columns["completion"]) or plain(columns)
        trainer.train()
        return seen

    assert completions(evidence, "a") == completions("teacher", "b")


@pytest.mark.parametrize(("evidence", "kind"), [("wrong_reference", "wrong"), ("other_reference", "other")])
def test_the_teacher_sees_what_the_control_says(tiny_trainer, evidence, kind):
    trainer = reward_even_length(tiny_trainer("rlsd", LAYER, {"objective": {"evidence": evidence}}))
    rows, _ = one_batch(trainer)
    record, shown = trainer.reward.record, trainer.shown["teacher"]
    for index, (row, text) in enumerate(zip(rows, shown, strict=True)):
        group = range(index - index % 4, index - index % 4 + 4)
        if kind == "other":
            assert text in {other["solution"] for other in rows} - {row["solution"]}
        else:
            wrong = [record["completion"][i] for i in group if i != index and not record["correct"][i]]
            assert text == (wrong[0] if wrong else None)


def test_mean_weights_are_told_for_each_side(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("rlsd", LAYER, {"objective": {"evidence": "sign_mean"}}))
    _, batch = one_batch(trainer)
    trainer._compute_loss(trainer.model, batch)
    means = trainer.means.take()
    assert means["rlsd/weight_mean_right"] != means["rlsd/weight_mean_wrong"]
    assert means["rlsd/weight_clip_low"] == means["rlsd/weight_clip_high"] == 0.0


def test_shares_are_those_of_all_tokens_whatever_the_micro_batches(tiny_trainer):
    """A mean of micro-batches' means would depend on their size; the two denominators differ where some A = 0."""
    found = []
    for size in (8, 2):
        layer = {"train": {"micro_batch": size}, "objective": {"epsilon_w": 0.02}}
        trainer = reward_even_length(tiny_trainer("rlsd", LAYER, layer, folder=f"micro-{size}"))
        lines = []
        plain = trainer.means.take
        trainer.means.take = lambda plain=plain, lines=lines: lines.append(plain()) or lines[-1]
        trainer.train()
        found.append(lines[0])
    names = ["rlsd/weight_clip_low", "rlsd/weight_clip_high", "rlsd/weight_clip_low_all", "rlsd/weight_mean"]
    for name in names:
        assert found[0][name] == pytest.approx(found[1][name], abs=1e-6), name
    assert found[0]["rlsd/weight_clip_low"] > 0


def test_where_no_token_counts_the_share_is_nan_and_not_zero(tiny_trainer):
    trainer = tiny_trainer("rlsd", LAYER)  # a random model answers nothing right: every A is 0
    _, batch = one_batch(trainer)
    trainer._compute_loss(trainer.model, batch)
    means = trainer.means.take()
    assert torch.isnan(torch.tensor(means["rlsd/weight_clip_low"]))
    assert means["rlsd/weight_clip_low_all"] == 0.0


def vine(tiny_trainer, **more):
    """A trainer whose rollouts have steps: each "so" ends one."""
    options = {"evidence": "vine", "continuations": 2, "mix": 1.0} | more
    trainer = reward_even_length(tiny_trainer("rlsd", LAYER, {"objective": options}))
    trainer.context.task.step_separator = "so"
    return trainer


def credited(trainer, batch):
    """The token advantages with which the loss is made."""
    seen = []
    plain = trainer._logged
    trainer._logged = lambda credit: seen.append(credit.values) or plain(credit)
    trainer._compute_loss(trainer.model, batch)
    return seen[0]


def test_vine_asks_no_teacher_and_bounds_the_true_advantages_as_rlsd_does(tiny_trainer):
    trainer = vine(tiny_trainer)
    assert not trainer.teachers
    _, batch = one_batch(trainer)
    true, advantage, mask = batch["resampled"], batch["advantages"], batch["completion_mask"]
    assert true.shape == batch["completion_ids"].shape
    assert not (true * (1 - mask)).any()
    assert not true[advantage == 0].any()  # what the clip would throw away is not paid for
    assert true[advantage != 0].any()
    weight = true * advantage.sign()[:, None] / ((true.abs() * mask).sum(1) / mask.sum(1)).clamp(min=1e-12)[:, None]
    weight[~true.any(dim=1)] = 1.0
    expected = advantage[:, None] * weight.clamp(0.8, 1.2)
    assert torch.allclose((credited(trainer, batch) * mask), expected * mask, atol=1e-6)


def test_unclipped_vine_is_the_true_advantages_themselves_for_every_completion(tiny_trainer):
    trainer = vine(tiny_trainer, unclipped=True)
    _, batch = one_batch(trainer)
    assert torch.equal(credited(trainer, batch), batch["resampled"])
    trainer.reward.task.reward = lambda completion, verdict: 1.0  # A = 0 everywhere, and V = R: nothing to credit
    _, batch = one_batch(trainer)
    assert not batch["resampled"].any()


def test_the_steps_that_vine_values_are_the_tasks(tiny_trainer):
    trainer = vine(tiny_trainer, unclipped=True)
    one_batch(trainer)
    assert trainer._metrics["train"]["vine/steps"][-1] > 1
    assert trainer._metrics["train"]["vine/prefixes"][-1] > 2
    trainer.context.task.step_separator = "no such word"
    one_batch(trainer)
    assert trainer._metrics["train"]["vine/steps"][-1] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unclipped": True}, "goes with evidence=vine only"),
        ({"unclipped": True, "evidence": "vine", "renormalise": True}, "leave these out"),
        ({"evidence": "vines"}, "evidence"),
    ],
)
def test_options_that_say_nothing_together_are_refused(tiny_config, options, message):
    with pytest.raises(UserError, match=message):
        tiny_config("rlsd", {"objective": options})


def test_runs_without_vine_keep_the_configuration_that_they_were_made_with(tiny_config):
    assert not {"unclipped", "continuations", "most_steps"} & set(tiny_config("rlsd").objective)
    assert "continuations" in tiny_config("rlsd", {"objective": {"evidence": "vine"}}).objective
