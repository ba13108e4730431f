"""Where reasoning ends and what is said begins, in the tags of many model families, opened here or in the prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_NAMES = r"(?:\w+:)?(?:think|thinking|thoughts?|reasoning|reason|reflection|analysis|scratchpad|inner_monologue)"
OPENED = re.compile(
    rf"<\s*{_NAMES}\s*>"  # DeepSeek, Qwen, Hunyuan, Seed (<seed:think>), the paper's <thought>
    r"|\[\s*(?:THINK|THINKING|REASONING)\s*\]"  # Mistral
    r"|◁\s*think\s*▷"  # Kimi
    r"|<\|(?:begin|start)_of_(?:thought|thinking|reasoning)\|>"
    r"|<\|(?:START_THINKING|think_start|thinking)\|>"  # Cohere
    r"|<\|channel>\s*(?:thought|analysis)",
    re.IGNORECASE,
)
CLOSED = re.compile(
    rf"<\s*/\s*{_NAMES}\s*>"
    r"|\[\s*/\s*(?:THINK|THINKING|REASONING)\s*\]"
    r"|◁\s*/\s*think\s*▷"
    r"|<\|end_of_(?:thought|thinking|reasoning)\|>"
    r"|<\|(?:END_THINKING|think_end|/thinking)\|>"
    r"|<channel\|>",
    re.IGNORECASE,
)
# gpt-oss: every message names its channel, and only what the final one says is said.
CHANNEL = re.compile(r"<\|channel\|>\s*(?P<name>\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
FINAL_WORD = re.compile(r"assistant\s*final")  # the same, decoded without special tokens
ANALYSIS_WORD = re.compile(r"\s*(?:assistant\s*)?analysis(?=[A-Z\"'(\d])")
GRANITE = re.compile(r"\s*(?:\*\*)?here(?: is|'s) my (?:thought|thinking) process:?", re.IGNORECASE)
GRANITE_END = re.compile(r"here(?: is|'s) my (?:response|answer):?(?:\*\*)?", re.IGNORECASE)
TURN = re.compile(
    r"<\|(?:im_start|start)\|>assistant|<\|start_header_id\|>assistant<\|end_header_id\|>|<\|assistant\|>|<[|｜]Assistant[|｜]>"
    r"|\[/INST\]|<start_of_turn>model|<\|turn>model|<\|CHATBOT_TOKEN\|>|\n(?:###\s*)?(?:assistant|response|model)\s*:?\s*\n",
    re.IGNORECASE,
)
PROMPT_TAIL = 4000


def after_channels(text: str) -> str | None:
    """Return what gpt-oss says in its final channel, '' if it never came to it, None where there are no channels."""
    marks = list(CHANNEL.finditer(text))
    if marks:
        final = [mark for mark in marks if mark["name"] == "final"]
        return text[final[-1].end() :] if final else ""
    if ANALYSIS_WORD.match(text):
        ends = list(FINAL_WORD.finditer(text))
        return text[ends[-1].end() :] if ends else ""
    return None


def cut_reasoning(text: str) -> str:
    """Return what follows the reasoning, '' where it never ended.

    A block that is never closed is all reasoning: a truncated completion has no answer. A closing tag without its
    opening one ends reasoning that the prompt began.

    >>> cut_reasoning("<think>maybe 3</think>It is 4.")
    'It is 4.'
    >>> cut_reasoning("It is 4. <think>or maybe")
    'It is 4. '
    """
    said = after_channels(text)
    if said is not None:
        return said
    if GRANITE.match(text):
        ends = list(GRANITE_END.finditer(text))
        return text[ends[-1].end() :] if ends else ""
    ends = list(CLOSED.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    start = OPENED.search(rest)
    return rest[: start.start()] if start else rest


def opening_of(prompt: str) -> str:
    r"""Return the reasoning tag that a rendered prompt opens for the completion, '' if it opens none.

    Chat templates end with it (``<|im_start|>assistant\n<think>\n``). A tag that the question merely mentions
    opens nothing.

    >>> opening_of("…<|im_start|>assistant\n<think>\n"), opening_of("Reason in <think> and </think>.\n")
    ('<think>', '')
    """
    tail = prompt[-PROMPT_TAIL:]
    turns = list(TURN.finditer(tail))
    own = tail[turns[-1].end() :] if turns else ""
    channels = list(CHANNEL.finditer(own))
    if channels:
        return channels[-1][0] if channels[-1]["name"] != "final" else ""
    for part, whole in ((own, False), (tail, True)):
        for mark in reversed(list(OPENED.finditer(part))):
            rest = part[mark.end() :]
            if not CLOSED.search(rest) and (not whole or not rest.strip()):
                return mark[0]
            break
    return ""


def opening_before(prompt: Any, of_template: str) -> str:
    """Return the reasoning tag that stands before a completion: of a plain text's end, or of a chat's template.

    Args:
        prompt: Text, or chat messages.
        of_template: What the chat template opens (`template_opening`).
    """
    return opening_of(prompt) if isinstance(prompt, str) else of_template


def template_opening(processing: Any, variables: Mapping[str, Any] | None = None) -> str:
    """Return the reasoning tag that a chat template opens for every completion, '' where it opens none.

    Args:
        processing: A tokenizer or processor; one without a chat template opens nothing.
        variables: Of the chat template.
    """
    if not getattr(processing, "chat_template", None):
        return ""
    more = dict(variables or {})
    question: Sequence[dict[str, Any]] = [{"role": "user", "content": "?"}]
    try:
        rendered = processing.apply_chat_template(question, add_generation_prompt=True, tokenize=False, **more)
    except Exception:  # a template that wants parts in place of text, or more turns
        try:
            parts = [{"role": "user", "content": [{"type": "text", "text": "?"}]}]
            rendered = processing.apply_chat_template(parts, add_generation_prompt=True, tokenize=False, **more)
        except Exception:  # what is wrong with a template is told where a prompt is rendered
            return ""
    return opening_of(rendered) if isinstance(rendered, str) else ""
