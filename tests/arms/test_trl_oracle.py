"""OPSD and SDPO against TRL's SDPOTrainer: two code bases, one loss (skipped where TRL has dropped it)."""

import pytest
import torch
from trainers import reward_even_length

sdpo = pytest.importorskip("trl.experimental.sdpo")


SHARED = (
    "max_steps",
    "learning_rate",
    "lr_scheduler_type",
    "weight_decay",
    "max_grad_norm",
    "seed",
    "data_seed",
    "logging_steps",
    "use_cpu",
    "bf16",
    "gradient_checkpointing",
    "per_device_train_batch_size",
    "num_generations",
    "max_completion_length",
    "temperature",
    "disable_dropout",
    "shuffle_dataset",
    "disable_tqdm",
)


@pytest.fixture
def no_shuffling(monkeypatch):
    """GRPO shuffles a batch with the generator that also samples; without that both trainers sample alike."""
    import trl.experimental.sdpo.sdpo_trainer as theirs
    import trl.trainer.grpo_trainer as ours

    for module in (ours, theirs):
        if hasattr(module, "shuffle_sequence_dict"):
            monkeypatch.setattr(module, "shuffle_sequence_dict", lambda batch: batch)


def losses(trainer):
    trainer.train()
    return torch.tensor([[line["loss"], line["grad_norm"]] for line in trainer.state.log_history if "loss" in line])


def trls_losses(config, ours, folder, reward, **options):
    """Train TRL's SDPOTrainer on the run's prompts with the settings of our trainer."""
    from accelerate.utils import set_seed
    from datasets import Dataset

    from rlsd_cli.models.load import load_model, load_tokenizer
    from rlsd_cli.tasks.arithmetic import ArithmeticTask
    from rlsd_cli.training.data import training_set

    rows = training_set(config, ArithmeticTask())
    trainer = sdpo.SDPOTrainer(
        model=load_model(config.model),
        reward_funcs=reward,
        args=sdpo.SDPOConfig(
            output_dir=str(folder),
            save_strategy="no",
            teacher_model_kind="live",
            distillation_is_clip=None,
            distillation_weight=1.0,
            **{name: getattr(ours.args, name) for name in SHARED},
            **options,
        ),
        train_dataset=Dataset.from_list([{**row, "privileged_context": row["solution"]} for row in rows]),
        processing_class=load_tokenizer(config.model.path),
    )
    set_seed(config.seed, device_specific=True)
    return losses(trainer)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_three_steps_of_opsd_equal_trls(tiny_config, tiny_trainer, tmp_path, no_shuffling, beta):
    ours = tiny_trainer("opsd", {"objective": {"beta": beta}})
    mine = losses(ours)
    theirs = trls_losses(
        tiny_config("opsd"),
        ours,
        tmp_path / "theirs",
        lambda completions, **columns: [0.0] * len(completions),
        use_successful_as_teacher=False,
        include_environment_feedback=True,
        reprompt_template="reference{solution} {feedback} {prompt}",
        feedback_template="{feedback_raw}",
        distillation_mode="full_logits",
        distillation_topk=None,
        distillation_alpha=beta,
    )
    assert len(mine) == 3
    assert torch.allclose(mine, theirs, rtol=2e-4)


def test_three_steps_of_sdpo_equal_trls(tiny_config, tiny_trainer, tmp_path, no_shuffling):
    ours = tiny_trainer("sdpo", {"objective": {"top_k": 8}, "teacher": {"source": "online"}})
    mine = losses(reward_even_length(ours))
    theirs = trls_losses(
        tiny_config("sdpo"),
        ours,
        tmp_path / "theirs",
        lambda completions, **columns: [float(len(text.split()) % 2 == 0) for text in completions],
        use_successful_as_teacher=True,
        reprompt_template="reference {solution}{prompt}",
        solution_template="{successful_previous_attempt} ",
        distillation_mode="topk_logits",
        distillation_topk=8,
        distillation_add_tail=True,
        distillation_alpha=1.0,
    )
    assert len(mine) == 3
    assert mine.abs().min() > 0
    assert torch.allclose(mine, theirs, rtol=2e-4)
