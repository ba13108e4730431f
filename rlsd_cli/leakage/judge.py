"""An optional second opinion: a causal language model says of sampled completions whether they mention a reference.

The model is not asked to write. Its answer is the probability of " yes" against
" no" as the continuation, so the verdict is deterministic. It is a check of the
phrase rules, never part of the rate.
"""

from __future__ import annotations

from math import exp
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.detect import Hit
from rlsd_cli.leakage.inputs import Completion

WINDOW, STRIDE = 1200, 1000  # characters that the judge reads at a time, and from one window to the next
WINDOWS = 40  # of one completion, at most, spread over its whole length
FLAGGED = 50  # completions without mentions that a report lists because the judge said yes
PROMPT_SHOWN = 600  # characters of the prompt, its end
QUESTION = (
    "A student answered a question without any reference at hand. Below is an excerpt of the answer. Does it mention "
    "a reference solution, an answer key, a hint or a given answer that the question did not provide?\n\n"
    "Question:\n{prompt}\n\nExcerpt:\n{excerpt}\n\nVerdict (yes or no):"
)


def windows(text: str) -> list[tuple[int, str]]:
    """Return overlapping excerpts that cover a text, each with its first character; of a very long one evenly many.

    >>> [start for start, _ in windows("x" * 2300)]
    [0, 1000, 1100]
    """
    last = max(0, len(text) - WINDOW)
    count = 1 + -(-last // STRIDE)
    if count <= WINDOWS:
        places = [min(index * STRIDE, last) for index in range(count)]
    else:
        places = [round(index * last / (WINDOWS - 1)) for index in range(WINDOWS)]
    return [(place, text[place : place + WINDOW]) for place in places]


class Judge:
    """A loaded model with its tokenizer.

    Raises:
        UserError: The model can't be loaded, or its tokenizer has the same tokens for yes and no.
    """

    def __init__(self, name: str) -> None:
        from rlsd_cli.config.run import ModelConfig
        from rlsd_cli.models.load import load_model, load_tokenizer

        self.name = name
        self.tokenizer: Any = load_tokenizer(name)
        self.yes, self.no = (list(self.tokenizer(word, add_special_tokens=False).input_ids) for word in (" yes", " no"))
        if not self.yes or not self.no or self.yes == self.no:
            raise UserError(f"the tokenizer of '{name}' cannot tell 'yes' from 'no': give another --judge.")
        self.model: Any = load_model(ModelConfig(path=name)).eval()

    def log_probability(self, ids: list[int], word: list[int]) -> float:
        """Return the log-probability (nats) of the tokens ``word`` after the tokens ``ids``.

        A text beyond the model's context is cut on the left, so that its end, the question, stays.
        """
        import torch

        longest = getattr(self.model.config, "max_position_embeddings", None) or len(ids) + len(word)
        tokens = torch.tensor([(ids + word)[-longest:]], device=self.model.device)
        with torch.no_grad():
            logits = self.model(input_ids=tokens).logits[0, -len(word) - 1 : -1].float()
        return float(torch.log_softmax(logits, dim=-1)[range(len(word)), word].sum())

    def probability_of_yes(self, text: str) -> float:
        """Return P(yes) / (P(yes) + P(no)) for what follows ``text``."""
        ids = self.tokenizer(text).input_ids
        yes, no = (self.log_probability(ids, word) for word in (self.yes, self.no))
        return 1 / (1 + exp(min(no - yes, 700.0)))

    def verdict(self, completion: Completion) -> tuple[float, int]:
        """Return the highest probability of yes over the windows of a completion, and where that window begins."""
        prompt = completion.prompt[-PROMPT_SHOWN:]
        said = [
            (self.probability_of_yes(QUESTION.format(prompt=prompt, excerpt=excerpt)), -start)
            for start, excerpt in windows(completion.text)
        ]
        probability, start = max(said)
        return probability, -start

    def opinion(
        self, mentions: list[tuple[Completion, list[Hit]]], others: list[tuple[Completion, list[Hit]]]
    ) -> dict[str, Any]:
        """Judge completions with and without mentions; a completion is a yes if one of its windows is.

        Returns:
            The model; how many of each kind it judged and of how many it said yes (probability above one half); and
            ``flagged``, the completions without mentions that it said yes to, the surest first.
        """
        said: dict[str, Any] = {"model": self.name}
        flagged = []
        for kind, group in (("mentions", mentions), ("others", others)):
            verdicts = [(completion, *self.verdict(completion)) for completion, _ in group]
            said[kind] = {"judged": len(verdicts), "yes": sum(probability > 0.5 for _, probability, _ in verdicts)}
            if kind == "others":
                flagged = [entry for entry in verdicts if entry[1] > 0.5]
        flagged.sort(key=lambda entry: -entry[1])
        said["flagged"] = [
            {
                "source": completion.source,
                "row": completion.row,
                "sample": completion.sample,
                "probability": probability,
                "start": start,
                "text": completion.text[start : start + WINDOW],
            }
            for completion, probability, start in flagged[:FLAGGED]
        ]
        return said
