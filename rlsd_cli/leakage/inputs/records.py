"""One completion, one row that could not be read, and how the values of other tools become text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlsd_cli.leakage.inputs.messages import asked, is_conversation, said, text_of
from rlsd_cli.records import RowError, is_missing


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion and where it stands.

    ``row`` counts from 1 within ``source`` (lines of a JSON-lines file, records of
    the others); ``sample`` counts the completions of one row from 0.
    """

    text: str
    prompt: str
    answer: str
    step: int | None
    source: str
    row: int
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row (0: the whole file) that could not be read, and why."""

    source: str
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """A row that repeats responses which were read already (lm-eval writes one row per filter)."""

    source: str
    row: int


def writable(text: str) -> str:
    """Return ``text`` with lone surrogates (JSON can hold them, UTF-8 can't) as question marks; same length."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def completions_of(value: Any) -> list[tuple[str, str]]:
    """Return the completions that a value holds, each with what the model was shown in the same value.

    A text, chat messages, a list of texts, or a list of conversations. Of messages,
    what the assistant said counts (messages.py).

    Raises:
        RowError: The value holds no text.
    """
    if isinstance(value, str):
        return [(value, "")]
    if is_missing(value):
        raise RowError("the completion is empty (null)")
    if isinstance(value, dict):
        return [(said([value]), "")]
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return [(item, "") for item in value]
        if is_conversation(value):
            return [(said(value), asked(value))]
        if all(is_conversation(item) or isinstance(item, str) for item in value):
            return [entry for item in value for entry in completions_of(item)]
    raise RowError("the completion is neither a text nor chat messages")


def prompt_of(value: Any) -> str:
    r"""Return a prompt as one text; chat messages of every role are joined by line breaks.

    >>> prompt_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}])
    'Be brief.\n2+2?'
    """
    if not isinstance(value, str) and is_missing(value):
        return ""
    if isinstance(value, dict):
        return text_of(value)
    if isinstance(value, list):
        return "\n".join(prompt_of(item) for item in value)
    return str(value)


def step_of(value: Any) -> int | None:
    """Return a training step as an integer; None where there is none.

    Raises:
        RowError: The value is no whole number.
    """
    if is_missing(value):
        return None
    try:
        number = float(value)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise RowError(f"the step {str(value)[:40]!r} is no whole number")
