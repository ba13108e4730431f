"""What tells one set of questions from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from rlsd_cli.tasks.base import Example


def _digest(values: Iterable[Any]) -> str:
    told = hashlib.sha256()
    for value in values:
        told.update(value if isinstance(value, bytes) else json.dumps(value).encode())
    return told.hexdigest()[:16]


def image_bytes(image: Any) -> bytes:
    """Return what tells an image from others: its size and pixels; of a file that is not open, its path."""
    if not hasattr(image, "tobytes"):
        return str(image).encode()
    return f"{image.size} {image.mode} ".encode() + image.tobytes()


def questions_digest(examples: Sequence[Example]) -> str:
    """Return a digest of the questions' ids, answers and images, in their order."""

    def told() -> Iterable[Any]:
        for example in examples:
            yield [example.id, example.answer, len(example.images)]
            yield from map(image_bytes, example.images)

    return _digest(told())


def prompts_digest(examples: Sequence[Example]) -> str:
    """Return a digest of the prompts' texts and roles, before the model's chat template."""

    def turns(prompt: Any) -> Any:
        if isinstance(prompt, str):
            return prompt
        return [[turn["role"], *parts(turn["content"])] for turn in prompt]

    def parts(content: Any) -> list[str]:
        return [content] if isinstance(content, str) else [part.get("text") or part["type"] for part in content]

    return _digest(turns(example.prompt) for example in examples)
