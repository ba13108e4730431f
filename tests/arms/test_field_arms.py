"""The field's arms: loss and gradient against each formula, written out token by token; limits to the bit."""

import math

import pytest
import torch
from trainers import history, one_batch, plain_logits, plain_logps, reward_even_length

from rlsd_cli.arms import View
from rlsd_cli.divergences import divergence, sampled_reverse_kl


def sign(number):
    return (number > 0) - (number < 0)


class Batch:
    """A batch and what the formulas need of it, from forward passes of our own."""

    def __init__(self, trainer):
        _, self.batch = one_batch(trainer)
        self.trainer = trainer
        self.mask = self.batch["completion_mask"]
        self.advantage = self.batch["advantages"].tolist()
        self.correct = self.batch["correct"].tolist()
        self.lengths = self.mask.sum(dim=1).tolist()

    def student(self):
        return plain_logps(self.trainer.model, self.batch["prompt_ids"], self.batch["prompt_mask"], self.batch)

    def teacher(self, view):
        ids, mask = self.batch[f"{view}_prompt_ids"], self.batch[f"{view}_prompt_mask"]
        with torch.no_grad():
            return plain_logps(self.trainer.model, ids, mask, self.batch)

    def logits(self, view=""):
        name = f"{view}_" if view else ""
        return plain_logits(
            self.trainer.model, self.batch[f"{name}prompt_ids"], self.batch[f"{name}prompt_mask"], self.batch
        )

    def there(self, view):
        return self.batch[f"{view}_present"].tolist()

    def places(self):
        return [(i, t) for i, length in enumerate(self.lengths) for t in range(length)]

    def sequence_mean(self, loss):
        """Return 1/B Σ_i 1/T_i Σ_t loss(i, t)."""
        return sum(loss(i, t) / self.lengths[i] for i, t in self.places()) / len(self.lengths)

    def token_mean(self, loss, places=None):
        places = self.places() if places is None else places
        return sum(loss(i, t) for i, t in places) / len(places) if places else 0.0


def cepo(batch, options):
    student, right, wrong = batch.student(), batch.teacher("right"), batch.teacher("wrong")
    mix = 0.5 * (1 - 1 / 25)
    assert any(batch.there("wrong"))
    assert not all(batch.there("wrong"))

    def loss(i, t):
        gain = (right - wrong)[i, t].item() if batch.there("right")[i] and batch.there("wrong")[i] else 0.0
        weight = min(max(math.exp(sign(batch.advantage[i]) * gain), 0.5), 1.5)
        return -batch.advantage[i] * ((1 - mix) + mix * weight) * ratio(student, i, t)

    return batch.sequence_mean(loss)


def ratio(student, i, t):
    """Return the probability ratio, which is 1 and carries the gradient."""
    return torch.exp(student[i, t] - student[i, t].detach())


def rlcsd(batch, options):
    student, right = batch.student(), batch.teacher("right")
    wrong = [batch.teacher(f"wrong{k}") for k in range(3)]

    def residual(i, t):
        probabilities = [math.exp(wrong[k][i, t]) for k in range(3) if batch.there(f"wrong{k}")[i]]
        if not probabilities or not batch.there("right")[i]:
            return 0.0
        evidence = right[i, t].item() - math.log(sum(probabilities) / len(probabilities))
        return 0.5 * math.tanh(evidence / 0.02)

    selected = [place for place in batch.places() if abs(residual(*place)) > 0.02]
    others = [place for place in batch.places() if place not in selected]
    assert selected
    assert others

    def moved(i, t):
        advantage = batch.advantage[i]
        if advantage == 0:
            return 0.0
        total = advantage + residual(i, t)
        return max(total, 0.0) if advantage > 0 else min(total, 0.0)

    return batch.token_mean(lambda i, t: -batch.advantage[i] * ratio(student, i, t), others) + batch.token_mean(
        lambda i, t: -moved(i, t) * ratio(student, i, t), selected
    )


def rlrt(batch, options):
    student, teacher = batch.student(), batch.teacher("teacher")

    def loss(i, t):
        weight = min(math.exp((student - teacher)[i, t].item()), 2.0) if batch.advantage[i] > 0 else 1.0
        return -batch.advantage[i] * (0.5 + 0.5 * weight) * ratio(student, i, t)

    return batch.sequence_mean(loss)


def srpo(batch, options):
    student, logits = batch.student(), batch.logits()
    with torch.no_grad():
        teacher = batch.logits("teacher")
    routed = [not right and there for right, there in zip(batch.correct, batch.there("teacher"), strict=True)]
    assert any(routed)
    assert not all(routed)

    def weight(i, t):
        p = teacher[i, t].softmax(-1)
        return math.exp(-sum(-x * math.log(x) for x in p.tolist()))

    tokens = [(i, t) for i, t in batch.places() if routed[i]]
    mean = sum(weight(i, t) for i, t in tokens) / len(tokens)

    def loss(i, t):
        if not routed[i]:
            return -batch.advantage[i] * ratio(student, i, t)
        return weight(i, t) / mean * divergence(logits[i, t], teacher[i, t], support="top_k", top_k=8, beta=0.5)

    return batch.sequence_mean(loss)


def sdar(batch, options):
    student, teacher = batch.student(), batch.teacher("teacher")

    def loss(i, t):
        gain = teacher[i, t] - student[i, t]
        gate = 1 / (1 + math.exp(-5 * gain.item()))
        return -batch.advantage[i] * ratio(student, i, t) + 0.1 * gate * gain

    return batch.sequence_mean(loss)


def sdpg(batch, options):
    student, logits = batch.student(), batch.logits()
    initial = batch.trainer.teachers["frozen"].model(None)
    with torch.no_grad():
        teacher = batch.logits("teacher")
        anchor = plain_logps(initial, batch.batch["prompt_ids"], batch.batch["prompt_mask"], batch.batch)
    assert (student - anchor)[batch.mask.bool()].abs().max() > 1e-3, "the policy must have left its start"

    def loss(i, t):
        kl = divergence(logits[i, t], teacher[i, t], beta=1.0) * (batch.advantage[i] > 0)
        return -batch.advantage[i] * ratio(student, i, t) + 0.3 * kl + 0.2 / 2 * (student[i, t] - anchor[i, t]) ** 2

    return batch.token_mean(loss)


REFERENCES = {
    "cepo": (cepo, {"teacher": {"reference": "solution"}}),  # a wrong one is then a sibling's text
    "rlcsd": (rlcsd, {"objective": {"siblings": 3}}),
    "rlrt": (rlrt, {}),
    "srpo": (srpo, {"objective": {"top_k": 8}, "teacher": {"source": "online"}}),
    "sdar": (sdar, {}),
    "sdpg": (sdpg, {"objective": {"distillation_weight": 0.3, "anchor_weight": 0.2, "positive_only": True}}),
}


@pytest.mark.parametrize("method", REFERENCES)
def test_loss_and_gradient_equal_the_formula_token_by_token(tiny_trainer, method):
    reference, layer = REFERENCES[method]
    online = {"teacher": {"source": "online"}}
    trainer = reward_even_length(tiny_trainer(method, online, layer))
    if method == "sdpg":
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    batch = Batch(trainer)
    assert any(batch.advantage)
    trainer.model.zero_grad()
    loss = trainer._compute_loss(trainer.model, batch.batch)
    loss.backward()
    gradient = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}
    trainer.model.zero_grad()
    expected = reference(batch, trainer.options)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=2e-6)
    assert max(tensor.abs().max() for tensor in gradient.values()) > 1e-3
    for name, parameter in trainer.model.named_parameters():
        assert torch.allclose(gradient[name], parameter.grad, atol=2e-6), name


TOKEN = {"train": {"aggregation": "token"}}
TO_GRPO = {
    "cepo": {"objective": {"mix": 0.0}},
    "rlcsd": {"objective": {"mix": 0.0}},
    "rlrt": {"objective": {"mix": 0.0}},
    "sdar": {"objective": {"weight": 0.0}},
    "sdpg": {"objective": {"distillation_weight": 0.0, "anchor_weight": 0.0}},
}


@pytest.mark.parametrize("method", TO_GRPO)
def test_without_its_own_term_it_is_grpo_to_the_bit(tiny_trainer, method):
    grpo = history(reward_even_length(tiny_trainer("grpo", TOKEN, folder="a")))
    limit = history(reward_even_length(tiny_trainer(method, TOKEN, TO_GRPO[method], folder="b")))
    assert grpo == limit
    own = history(reward_even_length(tiny_trainer(method, TOKEN, {"teacher": {"reference": "solution"}}, folder="c")))
    assert own != grpo, "with its term it is not"


def test_srpo_without_right_siblings_is_grpo_to_the_bit(tiny_trainer):
    grpo = history(reward_even_length(tiny_trainer("grpo", folder="a")))
    trainer = reward_even_length(tiny_trainer("srpo", folder="b"))
    trainer.views = {"teacher": View(lambda rollouts: [None] * len(rollouts))}
    assert history(trainer) == grpo


def test_cepo_whose_second_teacher_sees_nothing_is_rlsd_to_the_bit(tiny_trainer):
    same = {"mix": 0.5, "mix_decay_steps": 50, "epsilon_w": 0.2}
    online = {"teacher": {"source": "online"}}
    rlsd = history(reward_even_length(tiny_trainer("rlsd", online, {"objective": same}, folder="a")))
    trainer = reward_even_length(tiny_trainer("cepo", online, {"objective": same}, folder="b"))
    trainer.views = {"right": View("reference"), "wrong": View("prompt")}
    assert history(trainer) == rlsd


def test_sdpg_without_its_anchor_is_grpo_plus_reverse_kl_to_the_bit(tiny_trainer):
    mixed = {"objective": {"beta": 1.0, "distillation_weight": 0.5}}
    grpo_opsd = history(reward_even_length(tiny_trainer("grpo_opsd", TOKEN, mixed, folder="a")))
    anchored = {"objective": {"distillation_weight": 0.5, "anchor_weight": 0.0}}
    assert history(reward_even_length(tiny_trainer("sdpg", TOKEN, anchored, folder="b"))) == grpo_opsd


def test_teachers_top_k_is_the_divergence_of_both_distributions_renormalised_there():
    student = torch.tensor([0.5, 1.0, -2.0, 0.1], requires_grad=True)
    teacher = torch.tensor([2.0, -1.0, 0.3, -3.0])  # its top two are entries 0 and 2
    got = divergence(student, teacher, support="teacher_top_k", top_k=2, beta=0.0)
    p, q = teacher[[0, 2]].softmax(-1), student[[0, 2]].softmax(-1)
    assert got.item() == pytest.approx((p * (p / q).log()).sum().item(), rel=1e-6)
    got.backward()
    assert student.grad[[1, 3]].abs().max() < 1e-7


def test_the_sampled_forms_gradient_is_the_reverse_kls_in_the_mean_over_samples():
    generator = torch.Generator().manual_seed(0)
    logits, teacher = torch.randn(6, generator=generator), torch.randn(6, generator=generator)
    exact = logits.clone().requires_grad_()
    divergence(exact, teacher, beta=1.0).backward()
    # Every token once, weighted by its probability: the mean over samples without a sampling error.
    each = logits.expand(6, 6).clone().requires_grad_()
    (sampled_reverse_kl(each, teacher.expand(6, 6), torch.arange(6)) * logits.softmax(-1)).sum().backward()
    assert torch.allclose(each.grad.sum(dim=0), exact.grad, atol=1e-6)


@pytest.mark.parametrize("support", ["teacher_top_k", "sampled"])
def test_opsd_trains_with_its_other_released_forms(tiny_trainer, support):
    lines = history(tiny_trainer("opsd", {"objective": {"support": support, "top_k": 4}}))
    assert all(line[1] > 0 for line in lines)


def test_a_scheduled_weight_warms_up_and_decays(tiny_trainer):
    schedule = {"objective": {"schedules": {"distillation_weight": {"warmup_steps": 2, "decay_steps": 4}}}}
    options = tiny_trainer("sdpg", schedule).options
    #   steps 1 and 2 warm up; then 1 − k/4 after k steps of decay
    factors = [0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    weights = [options.at(step).distillation_weight for step in range(1, 8)]
    assert weights == pytest.approx([0.001 * factor for factor in factors])
