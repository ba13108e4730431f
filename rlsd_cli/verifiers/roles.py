"""Knights and knaves: everyone's role must be named, and be right."""

from __future__ import annotations

import re

from rlsd_cli.verifiers.answers import state
from rlsd_cli.verifiers.marks import TURN_END
from rlsd_cli.verifiers.reasoning import cut_reasoning
from rlsd_cli.verifiers.verdict import Verdict

CONCLUSION = re.compile(r"conclusion\s*[*_]*\s*[:：]\s*[*_]*", re.IGNORECASE)
ROLE = re.compile(r"\b([A-Z][\w'-]*)\s+(?:is|=|must\s+be)\s+(?:an?\s+)?(?i:(knight|knave))\b")


def roles_of(text: str) -> dict[str, str] | None:
    """Return name → role, None where someone is given two.

    >>> roles_of("Zoey is a knave, and Oliver is a knight.")
    {'zoey': 'knave', 'oliver': 'knight'}
    """
    found: dict[str, str] = {}
    for name, role in ROLE.findall(re.sub(r"[*_`$]|\\text|[{}]", "", text)):
        if found.setdefault(name.casefold(), role.casefold()) != role.casefold():
            return None
    return found


def verify_roles(text: str, gold: str) -> Verdict:
    """Judge an assignment of roles: that behind the last "CONCLUSION:", else the stated answer.

    Args:
        text: The whole completion.
        gold: Everyone's role in words, "Ann is a knight, and Bob is a knave."
    """
    said = TURN_END.sub("", cut_reasoning(text))
    ends = list(CONCLUSION.finditer(said))
    answer = said[ends[-1].end() :].strip() if ends else state(text).answer
    if not answer:
        return Verdict(False, "", "no conclusion is stated")
    mine, theirs = roles_of(answer), roles_of(gold)
    if mine is None:
        return Verdict(False, answer, "someone has two roles")
    right = bool(theirs) and mine == theirs
    return Verdict(right, answer, "everyone's role is right" if right else "not everyone's role is right")
