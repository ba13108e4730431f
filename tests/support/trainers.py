"""Trainers in tests: a reward that a random model can earn, a batch, a history, plain logits."""

from typing import Any

import torch

from rlsd_cli.verifiers.verdict import Verdict


def reward_even_length(trainer):
    """Make the trainer reward completions with an even number of words: about half of a random model's."""
    trainer.reward.task = EvenLength()
    return trainer


class EvenLength:
    """Judges by the number of words."""

    def verify(self, completion, answer, example_id=""):
        return Verdict(correct=len(completion.split()) % 2 == 0, extracted="")

    def reward(self, completion, verdict):
        return float(verdict.correct)


def history(trainer, keys=("loss", "grad_norm", "reward", "entropy")):
    trainer.train()
    return [[line[key] for key in keys] for line in trainer.state.log_history if "loss" in line]


def one_batch(trainer):
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    rows = next(iter(trainer.get_train_dataloader()))
    return rows, trainer._generate_and_score_completions(rows)


def plain_logits(model, prompt_ids, prompt_mask, batch):
    """Logits that predict the completion, from one forward pass over all of it: (B, T, V)."""
    ids = torch.cat([prompt_ids, batch["completion_ids"]], dim=1)
    mask = torch.cat([prompt_mask, batch["completion_mask"]], dim=1)
    width = batch["completion_ids"].size(1)
    return model(input_ids=ids, attention_mask=mask).logits[:, -width - 1 : -1]


def plain_logps(model, prompt_ids, prompt_mask, batch):
    """Log-probs of the sampled tokens from plain logits, (B, T)."""
    logps = torch.log_softmax(plain_logits(model, prompt_ids, prompt_mask, batch), -1)
    return logps.gather(-1, batch["completion_ids"].unsqueeze(-1)).squeeze(-1)


def trainer_maker(make_config, directory):
    """Return a function that builds an arm's trainer from what ``make_config`` returns, in ``directory``."""
    from rlsd_cli.models.libraries import quiet_libraries
    from rlsd_cli.runs.directory import RunDir
    from rlsd_cli.training.run import build_trainer

    quiet_libraries(1)

    def make(method: str, *layers: dict[str, Any], folder: str = "run"):
        return build_trainer(make_config(method, *layers), RunDir(directory / folder), lambda record: None)[0]

    return make
