"""Numbers at their limits: each arm stops on NaN, and goes through extreme, empty and equal things unharmed."""

import math
import re

import pytest
import torch

from rlsd_cli.arms import ARMS, configure
from rlsd_cli.errors import UserError
from rlsd_cli.models.limits import check_context, check_rewards
from rlsd_cli.runs.directory import RunDir
from rlsd_cli.training import run as running
from rlsd_cli.training.run import train

EXTRA = {"sdpo": {"objective": {"top_k": 8}}}


@pytest.fixture
def arm_config(tiny_config, tiny_model):
    def make(method, *layers):
        teacher = {"teacher": {"model": str(tiny_model)}} if method == "opd" else {}
        return tiny_config(method, {"train": {"steps": 4}}, EXTRA.get(method, {}), teacher, *layers)

    return make


def spoiled(monkeypatch, spoil):
    """Let `train` use trainers to which something is done before the first step."""
    build = running.build_trainer

    def built(*arguments):
        trainer, callbacks = build(*arguments)
        spoil(trainer)
        return trainer, callbacks

    monkeypatch.setattr(running, "build_trainer", built)


def bad_gradient(step):
    """The loss stays finite; one gradient becomes NaN."""

    def spoil(trainer):
        weight = trainer.model.get_input_embeddings().weight
        weight.register_hook(lambda gradient: gradient * (math.nan if trainer.state.global_step + 1 == step else 1.0))

    return spoil


def bad_loss(step, value):
    def spoil(trainer):
        compute = trainer.compute_loss

        def computed(*arguments, **options):
            loss = compute(*arguments, **options)
            if trainer.state.global_step + 1 != step:
                return loss
            # The gradients stay what they are: only the loss is no number.
            return (loss[0] + value, *loss[1:]) if isinstance(loss, tuple) else loss + value

        trainer.compute_loss = computed

    return spoil


@pytest.mark.parametrize("method", ARMS)
def test_a_gradient_that_is_no_number_names_arm_step_and_last_good_checkpoint(
    arm_config, tmp_path, monkeypatch, method
):
    spoiled(monkeypatch, bad_gradient(step=3))
    with pytest.raises(UserError) as caught:
        train(arm_config(method), tmp_path / "run")
    message = str(caught.value)
    assert re.match(rf"{method}: grad_norm is nan at step 3: the last good checkpoint is that of step 2;", message)
    assert message.endswith(f"model.path={tmp_path / 'run' / 'checkpoints' / 'checkpoint-2'}.")
    run = RunDir(tmp_path / "run")
    assert run.status()["state"] == "failed"
    assert [record["step"] for record in run.metrics()] == [1, 2]
    assert [path.name for path in run.checkpoints_dir.iterdir()] == ["checkpoint-2"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_seen_although_the_gradients_are_fine(arm_config, tmp_path, monkeypatch, value):
    spoiled(monkeypatch, bad_loss(3, value))
    with pytest.raises(UserError, match=f"grpo: loss is {value} at step 3: the last good checkpoint is that of step 2"):
        train(arm_config("grpo"), tmp_path / "run")


@pytest.mark.parametrize("gain", [1e4, -1e4])
def test_an_extreme_gain_trains_on_with_bounded_weights(arm_config, tmp_path, monkeypatch, gain):
    def spoil(trainer):
        score = trainer.passes.logps
        trainer.passes.logps = lambda view, inputs: score(view, inputs) + gain

    spoiled(monkeypatch, spoil)
    run = train(arm_config("rlsd", {"teacher": {"reference": "solution"}}), tmp_path / "run")
    for record in run.metrics():
        assert math.isfinite(record["loss"])
        assert math.isfinite(record["grad_norm"])
        assert 0.8 <= record["rlsd/weight_mean"] <= 1.2
        assert record["rlsd/delta_abs_mean"] == pytest.approx(1e4, rel=0.01)


ON_POLICY = [method for method in ARMS if method != "sft"]


@pytest.mark.parametrize("method", ON_POLICY)
def test_completions_without_a_word_train_on(arm_config, tmp_path, monkeypatch, method):
    def spoil(trainer):
        # Each completion is the end token alone.
        trainer._generate_single_turn = lambda prompts, *rest: (
            [[trainer._tokenizer.eos_token_id]] * len(prompts),
            None,
        )

    spoiled(monkeypatch, spoil)
    run = train(arm_config(method, {"train": {"steps": 2}}), tmp_path / "run")
    import pandas as pd

    rollouts = pd.read_parquet(run.completions_dir / "step-000002.parquet")
    assert (rollouts["completion"] == "").all()
    assert (rollouts["length"] == 1).all()
    assert not rollouts["correct"].any()
    assert all(math.isfinite(record["loss"]) and math.isfinite(record["grad_norm"]) for record in run.metrics())


def test_equal_rewards_move_nothing_in_grpo_and_rlsd(arm_config, tmp_path, monkeypatch):
    def spoil(trainer):
        trainer.reward.task.reward = lambda completion, verdict: 1.0

    spoiled(monkeypatch, spoil)
    for method in ("grpo", "rlsd"):
        run = train(arm_config(method, {"train": {"steps": 2, "weight_decay": 0.0}}), tmp_path / method)
        for record in run.metrics():
            assert record["loss"] == 0
            assert record["grad_norm"] == 0
            assert record["reward"] == 1


def test_a_group_of_one_is_refused_in_one_sentence():
    with pytest.raises(UserError, match=r"'train\.group_size' is 1: input should be greater than or equal to 2"):
        configure.build([{"method": "grpo", "train": {"group_size": 1}}])


@pytest.mark.parametrize("method", ["sft", "grpo", "rlsd"])
def test_a_prompt_beyond_the_context_names_the_numbers(arm_config, tmp_path, monkeypatch, method):
    def spoil(trainer):
        trainer.model.config.max_position_embeddings = 20

    if method == "sft":  # checked before training: the limit must be there when the trainer is built
        from rlsd_cli.models import load as models

        load = models.load_model

        def loaded(settings):
            model = load(settings)
            model.config.max_position_embeddings = 20
            return model

        monkeypatch.setattr(models, "load_model", loaded)
    else:
        spoiled(monkeypatch, spoil)
    words = r"a prompt of \d+ tokens and a completion of up to \d+ tokens are longer than .* of 20 tokens: lower"
    with pytest.raises(UserError, match=words):
        train(arm_config(method), tmp_path / "run")


def test_what_just_fits_into_the_context_is_let_through(tiny_trainer):
    model = tiny_trainer("grpo").model
    limit = model.config.max_position_embeddings
    check_context(model, limit - 12, 12)
    with pytest.raises(UserError, match=f"of {limit - 11} tokens"):
        check_context(model, limit - 11, 12)


@pytest.mark.parametrize("reward", [math.nan, None, math.inf, "1"])
def test_a_reward_that_is_no_number_names_the_question(arm_config, tmp_path, monkeypatch, reward):
    def spoil(trainer):
        trainer.reward.task.reward = lambda completion, verdict: reward

    spoiled(monkeypatch, spoil)
    with pytest.raises(UserError, match=f"reward of a completion of question '.+' is {reward}, which is no finite"):
        train(arm_config("grpo"), tmp_path / "run")


def test_rewards_of_any_number_type_pass():
    check_rewards([1, 0.5, True, -2.0], ["a"] * 4)


def test_advantages_of_rewards_apart_by_a_rounding_stay_finite():
    from rlsd_cli.objectives import group_advantage

    for rewards in ([1.0, 1.0 + 1e-7], [1e30, -1e30], [0.0, 0.0]):
        assert group_advantage(torch.tensor(rewards), 2).isfinite().all()


def test_the_credits_cosine_and_length_beside_grpos_by_hand():
    from rlsd_cli.training.means import TokenMeans

    class OneProcess:
        def reduce(self, totals, reduction):
            return totals

    means = TokenMeans(OneProcess())
    # Two micro-batches: A = 1 with credits 1, 3; A = −2 with credits −2, and padding. ⟨Â, A⟩ = 1 + 3 + 4 = 8,
    # |Â|² = 1 + 9 + 4 = 14, |A|² = 1 + 1 + 4 = 6.
    means.compare(torch.tensor([[1.0, 3.0]]), torch.tensor([1.0]), torch.tensor([[1, 1]]))
    means.compare(torch.tensor([[-2.0, 9.0]]), torch.tensor([-2.0]), torch.tensor([[1, 0]]))
    found = means.take()
    assert found == {
        "credit/cosine": pytest.approx(8 / math.sqrt(14 * 6)),
        "credit/norm_ratio": pytest.approx(math.sqrt(14 / 6)),
    }
    means.compare(torch.zeros(1, 2), torch.zeros(1), torch.ones(1, 2))
    assert math.isnan(means.take()["credit/cosine"]), "no advantage, no direction"
