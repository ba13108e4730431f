"""What decides an evaluation's numbers, and what of it must agree between two that are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rlsd_cli.generation.engine import EngineName
from rlsd_cli.generation.sampling import Sampling

# Where one of these differs, a difference of two evaluations is (also) a difference of that. The order is that
# in which they are told: what the user chose before what follows from it. Not among them: the seed and the batch
# size (other draws of the same distribution), and the model and its step (what is compared).
MUST_AGREE = (
    "limit",
    "samples",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "max_new_tokens",
    "engine",
    "dtype",
    "context",
    "source",
    "split",
    "instruction",
    "max_pixels",
    "n_questions",
    "questions",
    "prompts",
    "template",
    "verifier",
)
# What an evaluation is, all in all: another one with one of these changed does not take its place.
IDENTITY = (*MUST_AGREE, "seed", "batch_size", "gpus", "model", "checkpoint_step")
UNKNOWN = "unknown"
# Keys that only some evaluations have; the others would be "unknown" for no reason.
OF_BENCHMARKS = ("source", "split", "instruction", "max_pixels")


@dataclass(frozen=True)
class EvalOptions:
    """How a model is evaluated; the same for every arm of a comparison.

    Attributes:
        samples: Sampled completions per question, besides the greedy one.
        temperature: Of the sampled ones, as the next four (`Sampling`).
        top_p: The most probable tokens that together have this probability.
        top_k: So many of the most probable tokens; 0 for all.
        min_p: Tokens with at least this share of the most probable one's probability.
        presence_penalty: Off the logit of tokens that the completion already holds, greedy ones too.
        seed: Of sampling.
        limit: Only the first questions of a suite.
        batch_size: Completions at a time.
        engine: What samples.
        dtype: Of the weights; the run's own where None.
        gpus: vLLM: GPUs that share the model.
        context: vLLM: longest prompt and completion together; the model's own where None.
        max_new_tokens: Budget of a completion; the suite's own where None.

    Raises:
        UserError: A setting of sampling lies outside its range.
    """

    samples: int = 4
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0
    limit: int | None = None
    batch_size: int = 200
    engine: EngineName = "transformers"
    dtype: str | None = None
    gpus: int = 1
    context: int | None = None
    max_new_tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be drawn from."""
        self.sampling  # noqa: B018 - checks the ranges

    @property
    def sampling(self) -> Sampling:
        """How the sampled completions are drawn."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.min_p, self.presence_penalty)


def digest(value: Any, length: int = 16) -> str:
    """Return a hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:length]


def folder_name(
    options: EvalOptions,
    step: int | None,
    more: Mapping[str, Any] | None = None,
    defaults: EvalOptions | None = None,
) -> str:
    """Return the folder of an evaluation within eval/: '' for the final model at the defaults.

    Args:
        options: What differs from the defaults stands in the name; the batch size, which has two defaults, does not.
        step: The checkpoint's step; None of the final model.
        more: Other settings that were asked for, such as a benchmark's instruction; texts stand there as a digest.
        defaults: Of the suite, where it has its own.

    >>> folder_name(EvalOptions(samples=1, limit=5), 50)
    'step-50,samples-1,limit-5'
    """
    parts = [f"step-{step}"] if step is not None else []
    for field in fields(options):
        value = getattr(options, field.name)
        if value != getattr(defaults or EvalOptions(), field.name) and field.name != "batch_size":
            parts.append(f"{field.name}-{value}")
    for name, value in (more or {}).items():
        parts.append(f"{name}-{value if isinstance(value, int) else digest(value, 8)}")
    return ",".join(parts)


def value_of(summary: Mapping[str, Any], key: str) -> Any:
    """Return a setting of a summary, "unknown" where it was written before the setting was."""
    if key in OF_BENCHMARKS and "benchmark" not in summary:
        return None
    return summary.get(key, UNKNOWN)


def disagreements(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (setting, left value, right value) of what must agree and does not; "unknown" agrees with itself only.

    The same questions from another place are the same questions, so with equal digests the source may differ.
    """
    told = [(key, value_of(left, key), value_of(right, key)) for key in MUST_AGREE]
    same_questions = left.get("questions") is not None and left.get("questions") == right.get("questions")
    return [each for each in told if each[1] != each[2] and not (each[0] == "source" and same_questions)]


def unknown_in_both(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """Return the settings that neither summary records, so that nobody knows whether they agree."""
    return [key for key in MUST_AGREE if value_of(left, key) == value_of(right, key) == UNKNOWN]


def same_evaluation(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two summaries are of one and the same evaluation of a run, made twice."""
    return all(value_of(left, key) == value_of(right, key) for key in IDENTITY)
