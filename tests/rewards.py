"""A reward that a random model can earn, so that advantages are not all zero."""

from rlsd_cli.tasks.base import Verdict


def reward_even_length(trainer):
    """Make the trainer reward completions with an even number of words: about half of a random model's."""
    trainer.reward.task = EvenLength()
    return trainer


class EvenLength:
    """Judges by the number of words."""

    def verify(self, completion, answer):
        return Verdict(correct=len(completion.split()) % 2 == 0, extracted="")
