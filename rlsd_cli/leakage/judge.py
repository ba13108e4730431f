"""An optional second opinion: a causal language model says of sampled completions whether they mention a reference.

The model is not asked to write. Its answer is the probability of " yes" against
" no" as the next token, so one forward pass per completion is enough and the
verdict is deterministic. It is a check of the phrase rules, never part of the rate.
"""

from __future__ import annotations

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


def probability_of_yes(model: Any, tokenizer: Any, text: str) -> float:
    """Return P(yes) / (P(yes) + P(no)) for the token that follows ``text``.

    A text beyond the model's context is cut on the left, so that the question mark of the verdict stays.
    """
    import torch

    ids = tokenizer(text, return_tensors="pt").input_ids
    longest = getattr(model.config, "max_position_embeddings", None) or ids.shape[1]
    first = [tokenizer(word, add_special_tokens=False).input_ids[0] for word in (" yes", " no")]
    with torch.no_grad():
        logits = model(input_ids=ids[:, -longest:].to(model.device)).logits[0, -1].float()
    return float(torch.softmax(logits[first], dim=0)[0])


def second_opinion(
    name: str,
    mentions: list[tuple[Completion, list[Hit]]],
    others: list[tuple[Completion, list[Hit]]],
) -> dict[str, Any]:
    """Let a model judge completions with and without mentions.

    Args:
        name: A directory, a hub id or 'micro-base'.
        mentions: Completions with mentions, and these.
        others: Completions without.

    Returns:
        The model, how many of each kind it judged, and of how many it said yes (probability above one half).

    Raises:
        UserError: The model can't be loaded, or its tokenizer has no way to say yes and no.
    """
    from rlsd_cli.config import ModelConfig
    from rlsd_cli.errors import UserError
    from rlsd_cli.models import load_model, load_tokenizer

    tokenizer = load_tokenizer(name)
    words = [tokenizer(word, add_special_tokens=False).input_ids for word in (" yes", " no")]
    if not all(words) or words[0][0] == words[1][0]:
        raise UserError(f"the tokenizer of '{name}' cannot tell 'yes' from 'no': give another --judge.")
    model = load_model(ModelConfig(path=name)).eval()
    said = {}
    for kind, group in (("mentions", mentions), ("others", others)):
        yes = [
            probability_of_yes(model, tokenizer, QUESTION.format(prompt=c.prompt[-AROUND:], excerpt=excerpt(c, hits)))
            for c, hits in group
        ]
        said[kind] = {"judged": len(yes), "yes": sum(value > 0.5 for value in yes)}
    return {"model": name, **said}
