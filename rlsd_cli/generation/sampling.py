"""How the next token is drawn, the same for both engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """Settings of a draw, in vLLM's terms; the defaults draw from the whole softmax.

    Attributes:
        temperature: Divides the logits, above 0.
        top_p: The most probable tokens that together have this probability, in (0, 1]; 1 keeps all.
        top_k: The most probable tokens; 0 keeps all.
        min_p: Tokens with at least this share of the most probable one's probability, in [0, 1]; 0 keeps all.
        presence_penalty: Taken off the logit of each token that the completion already holds, in [-2, 2]; it also
            bears on greedy completions.

    Raises:
        UserError: A value lies outside its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0

    def __post_init__(self) -> None:
        ranges = {
            "temperature": (self.temperature > 0, "above 0"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "top_k": (self.top_k >= 0, "0 (all tokens) or more"),
            "min_p": (0 <= self.min_p <= 1, "between 0 and 1"),
            "presence_penalty": (-2 <= self.presence_penalty <= 2, "between -2 and 2"),
        }
        for name, (good, words) in ranges.items():
            if not good:
                raise UserError(f"{name} is {getattr(self, name)}: give a number {words}.")

    @property
    def whole(self) -> bool:
        """Whether every token of the vocabulary can be drawn and none is penalised."""
        return self == Sampling(temperature=self.temperature)

    def changed(self, greedy: bool) -> dict[str, Any]:
        """Return the filters and the penalty that differ from the defaults; only the penalty bears on greedy ones."""
        names = ("presence_penalty",) if greedy else ("top_p", "top_k", "min_p", "presence_penalty")
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(Sampling(), name)}


def penalised(logits: Tensor, completions: Tensor, penalty: float) -> Tensor:
    """Return logits (B, V) less ``penalty`` for each token in ``completions`` (B, T)."""
    if not penalty or completions.size(1) == 0:
        return logits
    seen = logits.new_zeros(logits.shape).scatter_(1, completions, 1.0)
    return logits - penalty * seen


def warpers(sampling: Sampling) -> list[Any]:
    """Return transformers' filters for the scores after the temperature, in vLLM's order: min-p, top-k, top-p."""
    from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    return [
        *([MinPLogitsWarper(sampling.min_p)] if sampling.min_p > 0 else []),
        *([TopKLogitsWarper(sampling.top_k)] if sampling.top_k > 0 else []),
        *([TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []),
    ]


def processors(sampling: Sampling, prompt_length: int, greedy: bool) -> list[Any]:
    """Return what `generate` takes as its ``logits_processor``, beside a neutral ``temperature``, top-k and top-p.

    Args:
        sampling: The settings.
        prompt_length: The width of the padded prompts, which are not penalised.
        greedy: Only the penalty bears on the most probable token.
    """
    from transformers import LogitsProcessor, TemperatureLogitsWarper

    class PresencePenalty(LogitsProcessor):  # type: ignore[no-untyped-call, misc, unused-ignore]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            return penalised(scores, input_ids[:, prompt_length:], sampling.presence_penalty)

    penalty = [PresencePenalty()] if sampling.presence_penalty else []
    if greedy:
        return penalty
    heat = [TemperatureLogitsWarper(sampling.temperature)] if sampling.temperature != 1 else []
    return [*penalty, *heat, *warpers(sampling)]
