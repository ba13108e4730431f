"""Chat messages as text: the keys and roles of the OpenAI form, of ShareGPT, and of models that think apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rlsd_cli.records import RowError

ASSISTANT = {"assistant", "gpt", "model", "bot", "ai", "chatgpt", "claude", "agent"}
TOOLS = {"tool", "function", "observation", "function_call", "tool_call", "tool_response", "ipython"}
# In the order of a text: what was thought, then what was said.
THOUGHT = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "thought", "thoughts")
SAID = ("content", "value", "text", "output_text")


def role_of(message: dict[str, Any]) -> str:
    """Return 'assistant', 'tool' or 'prompt' (system, user and whoever else speaks to the model)."""
    role = message.get("role", message.get("from"))
    if role is None:
        return "assistant"
    name = str(role).lower()
    return "assistant" if name in ASSISTANT else "tool" if name in TOOLS else "prompt"


def text_of(value: Any) -> str:
    r"""Return the text of a value: a text, a block, or a list of them; '' where there is none.

    >>> text_of([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "2"}, {"type": "image"}])
    'Hm.\\n2'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        parts = [text_of(value.get(key)) for key in (*THOUGHT, *SAID, "summary")]
        return "\n".join(part for part in parts if part)
    if isinstance(value, list | tuple):
        return "\n".join(part for item in value if (part := text_of(item)))
    return ""


def said(messages: Iterable[dict[str, Any]]) -> str:
    """Return what the assistant thought and said.

    Raises:
        RowError: The assistant has a turn, and no key of it that is known holds text or says that there is none.
    """
    turns = [message for message in messages if role_of(message) == "assistant"]
    if not turns:
        raise RowError("none of its messages is the assistant's")
    known = (*THOUGHT, *SAID, "tool_calls", "function_call")
    for turn in turns:
        if not any(key in turn for key in known):
            raise RowError(f"the assistant's message holds no text: its keys are {', '.join(map(str, turn))[:80]}")
        content = turn.get("content")
        if isinstance(content, list) and content and not text_of(turn) and not turn.get("tool_calls"):
            kinds = sorted({str(block.get("type")) for block in content if isinstance(block, dict)})
            if set(kinds) - {"tool_use", "tool_call", "image", "image_url", "redacted_thinking"}:
                raise RowError(f"the assistant's message holds blocks without text ({', '.join(kinds)[:60]})")
    return "\n".join(part for turn in turns if (part := text_of(turn)))


def asked(messages: Iterable[dict[str, Any]]) -> str:
    """Return what the model was shown in a conversation: every turn but its own and those of tools."""
    return "\n".join(part for message in messages if role_of(message) == "prompt" and (part := text_of(message)))


def is_conversation(value: Any) -> bool:
    """Tell whether a value is a list of messages."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
