"""Trainers in tests: a reward that a random model can earn, a batch, a history."""

from rlsd_cli.tasks.base import Verdict


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
