"""What can't be worked with, told before it does harm: chats without a template, long prompts, odd rewards."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rlsd_cli.config.layers import nearest
from rlsd_cli.errors import UserError, listed
from rlsd_cli.models.processors import text_tokenizer


def check_chat(processing: Any, prompt: Any, model: str) -> None:
    """Check that a prompt can be put into the model's words.

    Args:
        processing: The model's tokenizer or processor.
        prompt: Text or a chat.
        model: Its name, for the error.

    Raises:
        UserError: It is a chat, and the model has no chat template.
    """
    template = getattr(processing, "chat_template", None) or text_tokenizer(processing).chat_template
    if not isinstance(prompt, str) and not template:
        raise UserError(
            f"the questions are chats and the model '{model}' has no chat template: "
            "choose an instruction-tuned model, or set task.data.chat=false for a data set of text."
        )


def check_variables(processing: Any, variables: Mapping[str, Any], model: str) -> None:
    """Check that a chat template reads the variables that it is given: others would change nothing, silently.

    Args:
        processing: The model's tokenizer or processor; None where it is not known.
        variables: By name.
        model: Its name, for the error.

    Raises:
        UserError: There is no template, or it names no such variable.
    """
    from jinja2 import Environment, meta

    if not variables or processing is None:
        return
    template = getattr(processing, "chat_template", None) or text_tokenizer(processing).chat_template or ""
    text = " ".join(template.values()) if isinstance(template, dict) else str(template)
    known = sorted(
        meta.find_undeclared_variables(
            Environment(extensions=["jinja2.ext.loopcontrols"]).parse(
                re.sub(r"{%-?\s*(end)?generation\s*-?%}", "", text)
            )
        )
    )
    for name in variables:
        if name not in known:
            raise UserError(
                f"the chat template of '{model}' has no variable '{name[:60]}'{nearest(name, known)}; "
                f"it has: {listed(known)} (chat_template_kwargs)."
            )


def check_context(model: Any, prompt_tokens: int, completion_tokens: int) -> None:
    """Check that a prompt and its completion fit into the model's context.

    Args:
        model: A bare transformers model; where its configuration names no limit, anything fits.
        prompt_tokens: Tokens of the longest prompt.
        completion_tokens: Tokens that a completion may have.

    Raises:
        UserError: They don't.
    """
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest and prompt_tokens + completion_tokens > longest:
        raise UserError(
            f"a prompt of {prompt_tokens} tokens and a completion of up to {completion_tokens} tokens are longer than "
            f"the model's context of {longest} tokens: lower train.max_completion_tokens (--max-tokens of rlsd eval), "
            "or leave out such questions."
        )


def check_rewards(rewards: Sequence[Any], prompt_ids: Sequence[str]) -> None:
    """Check that each completion has a reward, for TRL would take NaN and None as 0.

    Raises:
        UserError: One is no finite number.
    """
    for reward, name in zip(rewards, prompt_ids, strict=True):
        if not isinstance(reward, int | float) or not math.isfinite(reward):
            raise UserError(
                f"the reward of a completion of question '{name}' is {reward}, which is no finite number: "
                "fix the task's reward."
            )
