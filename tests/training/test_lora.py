"""LoRA: only the adapter is trained, every arm runs, the teacher needs no second model, eval reads the result."""

import json

import pytest
import torch
from trainers import history, one_batch, reward_even_length

pytest.importorskip("peft")

from rlsd_cli.arms import ARMS
from rlsd_cli.config.run import ModelConfig, RunConfig
from rlsd_cli.errors import UserError
from rlsd_cli.evaluation.run import EvalOptions, evaluate_run
from rlsd_cli.models.load import load_model, load_tokenizer
from rlsd_cli.training.run import train
from rlsd_cli.training.teacher import FollowingAdapter, HeldAdapter, trained

LORA = {"train": {"lora_rank": 2}}


@pytest.mark.parametrize("method", ARMS)
def test_every_arm_trains_the_adapter_and_nothing_else(tiny_trainer, tiny_model, method):
    teacher = {"teacher": {"model": str(tiny_model)}} if method == "opd" else {}
    trainer = tiny_trainer(method, LORA, teacher)
    if method != "sft":
        reward_even_length(trainer)
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    assert history(trainer, keys=("loss", "grad_norm"))
    changed = {name for name, weight in trainer.model.named_parameters() if not torch.equal(weight, before[name])}
    assert changed or method == "sdpo", "a random model has no right sibling to learn from"
    assert all("lora_" in name for name in changed)


def test_a_frozen_teacher_is_the_policy_without_its_adapter(tiny_trainer, tiny_model):
    trainer = tiny_trainer("rlsd", LORA, {"teacher": {"source": "frozen", "reference": "solution"}})
    assert isinstance(trainer.teacher_of("teacher"), HeldAdapter)
    _, batch = one_batch(trainer)
    shift_adapter(trainer.model)
    scores = trainer.passes.logps("teacher", batch)
    whole = tiny_trainer("rlsd", {"teacher": {"source": "frozen", "reference": "solution"}}, folder="whole")
    tokens = batch["completion_mask"].bool()  # what stands on padding is nobody's score
    assert torch.allclose(scores[tokens], whole.passes.logps("teacher", batch)[tokens], atol=1e-5)
    assert not torch.allclose(scores[tokens], student_view(trainer, batch)[tokens], atol=1e-3), (
        "the adapter must matter"
    )


def test_a_synced_teacher_keeps_the_old_adapter_until_it_is_due(tiny_trainer):
    trainer = tiny_trainer("rlsd", LORA, {"teacher": {"source": "synced", "sync_every": 2, "reference": "solution"}})
    assert isinstance(trainer.teacher_of("teacher"), FollowingAdapter)
    _, batch = one_batch(trainer)
    before = trainer.passes.logps("teacher", batch)
    shift_adapter(trainer.model)
    own = [weight.detach().clone() for _, weight in trained(trainer.model)]
    trainer.teacher_of("teacher").after_step(1, trainer.model)
    assert torch.equal(trainer.passes.logps("teacher", batch), before)
    trainer.teacher_of("teacher").after_step(2, trainer.model)
    assert torch.allclose(trainer.passes.logps("teacher", batch), student_view(trainer, batch), atol=1e-6)
    assert all(torch.equal(weight, old) for (_, weight), old in zip(trained(trainer.model), own, strict=True))


def test_an_ema_teacher_moves_by_its_rate(tiny_trainer):
    trainer = tiny_trainer("sdpo", LORA, {"teacher": {"source": "ema", "ema_rate": 0.25}})
    start = {name: weight.detach().clone() for name, weight in trained(trainer.model)}
    shift_adapter(trainer.model)
    trainer.teacher_of("teacher").after_step(1, trainer.model)
    with trainer.teacher_of("teacher").in_place(trainer.model):
        for name, weight in trained(trainer.model):
            assert torch.allclose(weight, start[name] + 0.25 * 0.5, atol=1e-6)


def test_a_lora_run_resumes_is_saved_as_an_adapter_and_evaluates(tiny_config, tmp_path):
    config = tiny_config("rlsd", LORA, {"train": {"steps": 4}})

    def stop_after_three(record):
        if record["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", on_step=stop_after_three)
    train(config, tmp_path / "run", resume=True)
    straight = train(config, tmp_path / "straight")
    saved = json.loads((tmp_path / "run" / "model" / "adapter_config.json").read_text())
    assert saved["base_model_name_or_path"] == config.model.path
    resumed, whole = (load_model(ModelConfig(path=str(tmp_path / name / "model"))) for name in ("run", "straight"))
    assert type(resumed).__name__ == "Qwen3ForCausalLM"
    for one, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, other)
    assert load_tokenizer(str(straight.model_dir)).pad_token_id is not None
    for step in (None, 2):
        summaries = evaluate_run(straight.path, EvalOptions(samples=1, limit=2), ["in-domain"][:0], step=step)
        assert summaries[0]["checkpoint_step"] == (step or 4)


def test_an_adapter_that_names_no_module_is_told(tiny_trainer):
    with pytest.raises(UserError, match=r"no module of .* is named"):
        tiny_trainer("grpo", {"train": {"lora_rank": 2, "lora_targets": ["q_projection"]}})
    with pytest.raises(UserError, match="lm_head"):
        tiny_trainer("grpo", {"train": {"lora_rank": 2, "lora_targets": ["lm_head"]}})


def test_lora_settings_without_a_rank_are_told(tiny_config):
    with pytest.raises(UserError, match=r"need train\.lora_rank"):
        tiny_config("grpo", {"train": {"lora_alpha": 8}})


def test_bfloat16_keeps_the_trained_weights_in_float32(tiny_trainer):
    trainer = reward_even_length(tiny_trainer("rlsd", {"model": {"dtype": "bfloat16"}, "train": {"steps": 1}}))
    assert trainer.args.bf16
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    assert history(trainer)
    assert all(weight.dtype == torch.float32 for weight in trainer.model.parameters())
    assert any(not torch.equal(weight, old) for weight, old in zip(trainer.model.parameters(), before, strict=True))


def test_stored_configurations_from_before_these_settings_are_the_same_run(tiny_config):
    from rlsd_cli.arms.configure import describes

    config = tiny_config("rlsd")
    old = config.model_dump()
    del old["rollout"]
    for key in ("lora_rank", "lora_alpha", "lora_targets"):
        del old["train"][key]
    for key in ("report_to", "project"):
        del old["log"][key]
    assert describes(old, config)
    elsewhere = RunConfig.model_validate({**config.model_dump(), "log": {**old["log"], "report_to": "wandb"}})
    assert describes(old, elsewhere)
    assert not describes(old, tiny_config("rlsd", LORA))


def shift_adapter(model):
    with torch.no_grad():
        for _, weight in trained(model):
            weight.add_(0.5)


def student_view(trainer, batch):
    """Return the policy's own log-probs under the teacher's prompt."""
    with torch.no_grad():
        return trainer._get_per_token_logps_and_entropies(
            trainer.model, **trainer.passes.inputs("teacher", batch), logits_to_keep=batch["completion_ids"].size(1)
        )[0]
