"""The reward as a weighted sum of terms, for any task: ``task.reward``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlsd_cli.config.outside import load_outside
from rlsd_cli.config.rewards import RewardTerm
from rlsd_cli.errors import UserError
from rlsd_cli.verifiers.reward import follows_format
from rlsd_cli.verifiers.verdict import Verdict

Reward = Callable[[str, Verdict], float]


def accuracy(text: str, verdict: Verdict) -> float:
    """Return 1 for a right answer, 0 for a wrong one."""
    return float(verdict.correct)


def format_kept(text: str, verdict: Verdict) -> float:
    """Return 1 where the whole completion is ``<thought>…</thought>…<answer>…</answer>``, else 0."""
    return float(follows_format(text))


TERMS: dict[str, Reward] = {"accuracy": accuracy, "format": format_kept}


def weighted(terms: Sequence[RewardTerm]) -> Reward:
    """Return the sum of weight · term, as a function of a completion and its verdict.

    Raises:
        UserError: A term of the user's own can't be imported or called; when the sum is asked, that it gives no number.
    """
    functions = [(term, TERMS.get(term.name) or _outside(term.name)) for term in terms]

    def reward(text: str, verdict: Verdict) -> float:
        total = 0.0
        for term, function in functions:
            value = function(text, verdict)
            if not isinstance(value, int | float):
                raise UserError(
                    f"the reward '{term.name}' gives {type(value).__name__}: return a number for each completion."
                )
            total += term.weight * value
        return total

    return reward


def _outside(name: str) -> Reward:
    function = load_outside(name, "the reward")
    if not callable(function):
        raise UserError(f"the reward '{name}' can't be called: name a function of (completion, verdict).")
    return function
