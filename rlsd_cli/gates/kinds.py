"""Kinds of token, for any tokenizer: what of a completion an update acts on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rlsd_cli.leakage.detect import find_mentions

KINDS = ("citation", "result", "number", "operator", "word", "punctuation", "end")
WORDS = {
    "citation": "mentions of a reference, by the rules of the audit",
    "result": "a number after =, ≈, a colon, an arrow, answer, is, or in a box",
    "number": "other numbers",
    "operator": "signs of arithmetic and comparison",
    "word": "letters",
    "punctuation": "all else that is written, and blanks",
    "end": "special tokens",
}
_RESULT = re.compile(r"(?:=|≈|:|→|⇒|->|\\boxed\{|\b(?:answer|is)\b|<answer>)[\s$*({\[]*-?[\d.,]*$", re.IGNORECASE)
_OPERATOR = re.compile(r"[-+*/=<>^×÷·≈≤≥%√∑]+")
LOOK_BACK = 24  # characters before a token


def kind_of(piece: str, before: str) -> str:
    """Return the kind of a token that is no citation.

    Args:
        piece: Its text; '' of a special token.
        before: The text before it.
    """
    bare = piece.strip()
    if not piece:
        return "end"
    if any(char.isdigit() for char in bare):
        return "result" if _RESULT.search(before[-LOOK_BACK:]) else "number"
    if any(char.isalpha() for char in bare):
        return "word"
    return "operator" if bare and _OPERATOR.fullmatch(bare) else "punctuation"


def kinds_of(tokenizer: Any, ids: Sequence[int], prompt: str) -> list[str]:
    """Return the kind of each token of a completion.

    Args:
        tokenizer: Decodes tokens.
        ids: The completion without padding.
        prompt: What the model saw: a mention that it explains is none.
    """
    pieces = [tokenizer.decode([token], skip_special_tokens=True) for token in ids]
    shown = [piece for piece in pieces if piece]
    whole = tokenizer.decode(list(ids), skip_special_tokens=True)
    gap = " " if len(shown) > 1 and "".join(shown) != whole and " ".join(shown) == whole else ""
    text, starts = "", []
    for piece in pieces:
        text += gap if piece and text else ""
        starts.append(len(text))
        text += piece
    mentions = find_mentions(text, prompt)
    found = []
    for piece, start in zip(pieces, starts, strict=True):
        cited = piece.strip() and any(hit.start < start + len(piece) and start < hit.end for hit in mentions)
        found.append("citation" if cited else kind_of(piece, text[:start]))
    return found
