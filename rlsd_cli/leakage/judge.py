"""An optional second opinion: a causal language model says of sampled completions whether they mention a reference.

The model is not asked to write. Its answer is the probability of " yes" against
" no" as the continuation, so the verdict is deterministic. It is a check of the
phrase rules, never part of the rate.
"""

from __future__ import annotations

from math import exp
from typing import Any

from rlsd_cli.leakage.detect import Hit
from rlsd_cli.leakage.inputs import Completion

AROUND = 600  # characters on either side of the first mention that the judge reads; the opening where there is none
QUESTION = (
    "A student answered a question without any reference at hand. Below is an excerpt of the answer. Does it mention "
    "a reference solution, an answer key, a hint or a given answer that the question did not provide?\n\n"
    "Question:\n{prompt}\n\nExcerpt:\n{excerpt}\n\nVerdict (yes or no):"
)


def excerpt(completion: Completion, hits: list[Hit]) -> str:
    """Return the part of a completion that is judged."""
    start = hits[0].start if hits else AROUND
    return completion.text[max(0, start - AROUND) : start + AROUND]


def log_probability(model: Any, ids: list[int], word: list[int]) -> float:
    """Return the log-probability (nats) of the tokens ``word`` after the tokens ``ids``.

    A text beyond the model's context is cut on the left, so that its end, the question, stays.
    """
    import torch

    longest = getattr(model.config, "max_position_embeddings", None) or len(ids) + len(word)
    tokens = torch.tensor([(ids + word)[-longest:]], device=model.device)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0, -len(word) - 1 : -1].float()
    return float(torch.log_softmax(logits, dim=-1)[range(len(word)), word].sum())


def probability_of_yes(model: Any, tokenizer: Any, text: str) -> float:
    """Return P(yes) / (P(yes) + P(no)) for what follows ``text``."""
    ids = tokenizer(text).input_ids
    yes, no = (log_probability(model, ids, word) for word in verdicts(tokenizer))
    return 1 / (1 + exp(min(no - yes, 700.0)))


def verdicts(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the tokens of " yes" and of " no"."""
    yes, no = (list(tokenizer(word, add_special_tokens=False).input_ids) for word in (" yes", " no"))
    return yes, no


def second_opinion(
    name: str,
    mentions: list[tuple[Completion, list[Hit]]],
    others: list[tuple[Completion, list[Hit]]],
) -> dict[str, Any]:
    """Let a model judge completions with and without mentions.

    Args:
        name: A directory, a hub id or 'micro-base'.
        mentions: Completions with mentions, each with its mentions.
        others: Completions without any.

    Returns:
        The model, how many of each kind it judged, and of how many it said yes (probability above one half).

    Raises:
        UserError: The model can't be loaded, or its tokenizer has the same tokens for yes and no.
    """
    from rlsd_cli.config.run import ModelConfig
    from rlsd_cli.errors import UserError
    from rlsd_cli.models.load import load_model, load_tokenizer

    tokenizer = load_tokenizer(name)
    yes, no = verdicts(tokenizer)
    if not yes or not no or yes == no:
        raise UserError(f"the tokenizer of '{name}' cannot tell 'yes' from 'no': give another --judge.")
    model = load_model(ModelConfig(path=name)).eval()
    said = {}
    for kind, group in (("mentions", mentions), ("others", others)):
        asked = [QUESTION.format(prompt=c.prompt[-AROUND:], excerpt=excerpt(c, hits)) for c, hits in group]
        said[kind] = {
            "judged": len(asked),
            "yes": sum(probability_of_yes(model, tokenizer, text) > 0.5 for text in asked),
        }
    return {"model": name, **said}
