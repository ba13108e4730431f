"""The rollouts of a step, and the privileged text that a view takes from them. Plain lists: no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Source = str | Callable[["Rollouts"], list[str | None]]


@dataclass(frozen=True)
class Rollouts:
    """The n completions of a step over all processes, those of a question side by side.

    Attributes:
        prompt_id: Of the question; equal in a group.
        completion: Texts.
        correct: Verdicts.
        extracted: The answers found in the completions, '' where none.
        references: Privileged texts by kind (``answer``, ``solution``, ``other_route``), '' where there is none.
        kind: The kind that ``teacher.reference`` names.
        group_size: Completions per question.
        feedback: What the task says of each completion, '' where nothing; () where nobody asked.
    """

    prompt_id: list[str]
    completion: list[str]
    correct: list[bool]
    extracted: list[str]
    references: dict[str, list[str]]
    kind: str
    group_size: int
    feedback: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.completion)

    def siblings(self, index: int, correct: bool) -> list[int]:
        """Return the right (or wrong) ones among the other samples of a completion's question, in order."""
        start = index - index % self.group_size
        return [i for i in range(start, start + self.group_size) if i != index and self.correct[i] == correct]


def texts_of(source: Source, rollouts: Rollouts) -> list[str | None]:
    """Return the privileged text of each completion under a view; None where there is none, so no teacher.

    Args:
        source: As in `rlsd_cli.arms.View`.
        rollouts: Of the step.

    Raises:
        ValueError: The source is unknown, or its function returns another number of texts.
    """
    if callable(source):
        texts = source(rollouts)
        if len(texts) != len(rollouts):
            raise ValueError(f"the view's function returned {len(texts)} texts for {len(rollouts)} rollouts")
        return texts
    name, _, nth = source.partition(":")
    if source == "prompt":
        return [""] * len(rollouts)
    if name == "sibling":
        kind, _, place = nth.partition(":")
        if kind in ("right", "wrong") and (place.isdigit() or not place):
            return list(_siblings(rollouts, kind == "right", int(place or 0)))
    elif source == "other":
        return list(_others(rollouts))
    elif source == "wrong":
        return list(_wrong(rollouts))
    elif source == "reference" or source in rollouts.references:
        return [text or None for text in rollouts.references[rollouts.kind if source == "reference" else source]]
    raise ValueError(f"there is no source of privileged text called '{source}'")


def _siblings(rollouts: Rollouts, correct: bool, nth: int) -> Iterator[str | None]:
    for index in range(len(rollouts)):
        found = rollouts.siblings(index, correct)
        yield rollouts.completion[found[nth]] if nth < len(found) else None


def _others(rollouts: Rollouts) -> Iterator[str | None]:
    """Yield the next question's reference that differs from the question's own, going round the step."""
    own = rollouts.references[rollouts.kind]
    for index, text in enumerate(own):
        later = (own[(index + shift) % len(own)] for shift in range(len(own)))
        yield next((other for other in later if other and other != text), None)


def _wrong(rollouts: Rollouts) -> Iterator[str | None]:
    """Yield a wrong reference: the first wrong sibling's answer, or all of its text where solutions are shown."""
    for index in range(len(rollouts)):
        found = rollouts.siblings(index, correct=False)
        texts = rollouts.extracted if rollouts.kind == "answer" else rollouts.completion
        yield next((texts[i] for i in found if texts[i]), None)
