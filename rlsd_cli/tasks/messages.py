"""Chat prompts with images, and what a teacher's prompt adds to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rlsd_cli.errors import UserError

PLACEHOLDER = re.compile(r"<image(?:[ _]?(\d+))?>")


def user_message(text: str, images: Sequence[Any] = (), placeholder: re.Pattern[str] = PLACEHOLDER) -> dict[str, Any]:
    """Return a user's turn: text alone, or a list of image and text parts (the format of TRL and Qwen3-VL).

    Images come first, in their order. Where the text says itself where they belong (``<image>``, as often
    as there are images, or ``<image 2>`` by number), they stand there; a placeholder without its image is dropped.

    >>> user_message("<image> How many?", ["picture"])["content"][0]
    {'type': 'image', 'image': 'picture'}
    """
    marks = list(placeholder.finditer(text))
    if not images:
        return {"role": "user", "content": placeholder.sub("", text).strip()}
    numbered = [int(mark[1]) for mark in marks if mark[1]]
    order = [number - 1 for number in numbered] if len(numbered) == len(marks) else list(range(len(marks)))
    in_place = bool(marks) and set(order) == set(range(len(images)))
    parts: list[dict[str, Any]] = [] if in_place else [{"type": "image", "image": image} for image in images]
    start, shown = 0, set()
    for mark, index in zip(marks, order, strict=True):
        add_text(parts, text[start : mark.start()])
        start = mark.end()
        if in_place and index not in shown:
            parts.append({"type": "image", "image": images[index]})
            shown.add(index)
    add_text(parts, text[start:])
    return {"role": "user", "content": parts}


def checked_turns(question: Any, where: str) -> list[dict[str, Any]]:
    """Return the chat messages of a row: role and content, the content as text or as text parts.

    Args:
        question: What the row holds.
        where: Names the row in an error, as in "row 3 of data.parquet".

    Raises:
        UserError: They are no chat messages, have no user's turn, or have parts that are not text.
    """
    turns = question if isinstance(question, list | tuple) else []
    for turn in turns:
        content = turn.get("content") if isinstance(turn, dict) else None
        parts = content if isinstance(content, list | tuple) else [{"type": "text", "text": content}]
        texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
        if not isinstance(turn, dict) or len(texts) < len(parts) or not all(isinstance(text, str) for text in texts):
            raise UserError(
                f"{where} has a chat message whose content is not text: "
                "give text, and the images in a column of their own (task.data.columns.images)."
            )
    if not any(turn.get("role") == "user" for turn in turns):
        raise UserError(
            f"{where} has a prompt that is neither text nor chat messages with a user's turn: fix or drop that row."
        )
    return [{"role": str(turn.get("role")), "content": turn["content"]} for turn in turns]


def add_text(parts: list[dict[str, Any]], text: str) -> None:
    """Append ``text`` to the parts, unless it is blank; text that follows text is joined to it."""
    if not text.strip():
        return
    if parts and parts[-1]["type"] == "text":
        parts[-1]["text"] += f" {text.strip()}"
    else:
        parts.append({"type": "text", "text": text.strip()})


def append_text(prompt: Any, text: str) -> Any:
    """Return ``prompt`` with ``text`` added at the end of its last user turn; the given one is not changed.

    Args:
        prompt: Text, or chat messages whose contents are text or lists of parts.
        text: What is added, after an empty line.
    """
    if isinstance(prompt, str):
        return f"{prompt}\n\n{text}"
    position = max(index for index, turn in enumerate(prompt) if turn["role"] == "user")
    content = prompt[position]["content"]
    if isinstance(content, str):
        content = f"{content}\n\n{text}"
    else:
        content = [*content, {"type": "text", "text": f"\n\n{text}"}]
    return [*prompt[:position], {**prompt[position], "content": content}, *prompt[position + 1 :]]


def images_of(prompt: Any) -> tuple[Any, ...]:
    """Return the images of a prompt in the order in which they stand in it."""
    if isinstance(prompt, str):
        return ()
    contents = [turn["content"] for turn in prompt if not isinstance(turn["content"], str)]
    return tuple(part["image"] for content in contents for part in content if part["type"] == "image")


def without_images(prompt: Any) -> Any:
    """Return ``prompt`` with each image replaced by a placeholder ``{"type": "image"}``; text prompts as they are.

    Rows of a table can hold such prompts, and TRL puts the pictures of the row's ``images`` (`images_of`) back.
    """
    if isinstance(prompt, str):
        return prompt
    return [
        turn
        if isinstance(turn["content"], str)
        else {
            **turn,
            "content": [{"type": "image"} if part["type"] == "image" else dict(part) for part in turn["content"]],
        }
        for turn in prompt
    ]


def as_text(message: Any) -> str:
    """Return a prompt or completion as text: chat turns are joined by line breaks."""
    if isinstance(message, str):
        return message
    return "\n".join(
        part if isinstance(part, str) else part.get("text") or ""
        for turn in message
        for part in ([turn["content"]] if isinstance(turn["content"], str) else turn["content"])
    )
