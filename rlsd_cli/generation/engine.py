"""What an engine is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from rlsd_cli.generation.sampling import Sampling

EngineName = Literal["transformers", "vllm"]


class Completion(NamedTuple):
    """One completion: its text, its tokens (the end token counts), and whether it met the budget without an end."""

    text: str
    length: int
    truncated: bool


@dataclass(frozen=True)
class EngineOptions:
    """How a model is loaded and asked.

    Attributes:
        name: Which engine.
        dtype: Of the weights.
        batch_size: Completions at a time; vLLM schedules by itself.
        gpus: vLLM: GPUs that share the model.
        context: vLLM: longest prompt and completion together, in tokens; the model's own where None.
        variables: Of the chat template, such as ``enable_thinking``.
    """

    name: EngineName = "transformers"
    dtype: str = "float32"
    batch_size: int = 200
    gpus: int = 1
    context: int | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """A loaded model that completes prompts."""

    name: EngineName
    opening: str  # the reasoning tag that its chat template opens for every completion, '' where it opens none

    @property
    def template(self) -> str | None:
        """The chat template that turns chats into text; None where the model has none."""
        ...

    def complete(
        self, prompts: Sequence[Any], *, samples: int, max_new_tokens: int, sampling: Sampling, greedy: bool, seed: int
    ) -> list[list[Completion]]:
        """Return ``samples`` completions of each prompt, in order; equal arguments give equal completions.

        Args:
            prompts: Texts or chats, which may have PIL images in them.
            samples: Completions per prompt.
            max_new_tokens: Budget of a completion.
            sampling: How a token is drawn.
            greedy: Take the most probable token instead.
            seed: Of sampling.

        Raises:
            UserError: A prompt does not fit into the model's context, or the model reads no chats or no images.
        """
        ...
