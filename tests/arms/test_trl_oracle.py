"""OPSD against TRL's SDPOTrainer set up as OPSD: two code bases, one loss (skipped where TRL has dropped it)."""

import pytest
import torch

sdpo = pytest.importorskip("trl.experimental.sdpo")


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_three_steps_of_opsd_equal_trls(tiny_config, tiny_trainer, tmp_path, monkeypatch, beta):
    import trl.experimental.sdpo.sdpo_trainer as theirs_module
    import trl.trainer.grpo_trainer as ours_module

    from rlsd_cli.models import load_model, load_tokenizer
    from rlsd_cli.tasks.arithmetic import ArithmeticTask
    from rlsd_cli.training.data import training_set

    # GRPO shuffles a batch with the generator that also samples; without that both trainers sample alike.
    monkeypatch.setattr(ours_module, "shuffle_sequence_dict", lambda batch: batch)
    ours = tiny_trainer("opsd", {"objective": {"beta": beta}})
    ours.train()
    mine = [[line["loss"], line["grad_norm"]] for line in ours.state.log_history if "loss" in line]

    config = tiny_config("opsd")
    rows = training_set(config, ArithmeticTask())
    rows = rows.map(lambda row: {"privileged_context": row["solution"]})
    settings = {
        name: getattr(ours.args, name)
        for name in [
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
        ]
    }
    arguments = sdpo.SDPOConfig(
        output_dir=str(tmp_path / "theirs"),
        save_strategy="no",
        use_successful_as_teacher=False,
        include_environment_feedback=True,
        reprompt_template="reference{solution} {feedback} {prompt}",
        feedback_template="{feedback_raw}",
        teacher_model_kind="live",
        distillation_mode="full_logits",
        distillation_topk=None,
        distillation_alpha=beta,
        distillation_is_clip=None,
        distillation_weight=1.0,
        **settings,
    )
    theirs = sdpo.SDPOTrainer(
        model=load_model(config.model),
        reward_funcs=lambda completions, **columns: [0.0] * len(completions),
        args=arguments,
        train_dataset=rows,
        processing_class=load_tokenizer(config.model.path),
    )
    if hasattr(theirs_module, "shuffle_sequence_dict"):
        monkeypatch.setattr(theirs_module, "shuffle_sequence_dict", lambda batch: batch)
    from accelerate.utils import set_seed

    set_seed(config.seed, device_specific=True)
    theirs.train()
    other = [[line["loss"], line["grad_norm"]] for line in theirs.state.log_history if "loss" in line]
    assert len(mine) == 3
    assert torch.allclose(torch.tensor(mine), torch.tensor(other), rtol=2e-4)
