"""What the report knows of an arm: its name, look and claims, from its record or from what the run directory kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rlsd_cli.arms import ARMS, Arm, Look, built_in, look_of
from rlsd_cli.config.run import BASE


@dataclass(frozen=True)
class Card:
    """An arm as the report needs it.

    Attributes:
        name: The method.
        look: Title, colour, line, marker.
        claims: Keys of claims that it brings.
        arm: The record itself, of an arm of the package; None for arms of one's own and for the untrained model.
        kept: What the run directory keeps of the arm.
    """

    name: str
    look: Look
    claims: tuple[str, ...] = ()
    arm: Arm | None = None
    kept: Mapping[str, Any] | None = None

    @property
    def title(self) -> str:
        """Its name in figures and tables."""
        return self.look.title

    def teacher_and_reference(self, settings: Mapping[str, Any]) -> tuple[str, str]:
        """Return who the teacher is and what it sees, in words; – where there is none or the run does not say.

        Args:
            settings: The run's ``teacher`` section.
        """
        if self.arm is not None and {"source", "reference"} <= settings.keys():
            return self.arm.teacher_and_reference(settings)
        if self.kept is not None and self.kept.get("needs_teacher"):
            return str(settings.get("source", "–")), str(settings.get("reference", "–"))
        return "–", "–"


BASE_CARD = Card(BASE, Look(title="Base", colour="#999999", line=(1, 1), marker="|"))


@functools.cache
def built_in_cards() -> tuple[Card, ...]:
    """Return the package's arms in their order."""
    found = [(name, built_in(name)) for name in ARMS]
    return tuple(Card(name, arm.look, arm.claims, arm) for name, arm in found if arm is not None)


def card_of(method: str, kept: object = None) -> Card:
    """Return an arm's card.

    Args:
        method: The run's method. Arms of one's own are not imported for it: that would run a stranger's code.
        kept: What provenance.json holds under ``arm``; damaged parts are as good as none.
    """
    if method == BASE:
        return BASE_CARD
    for card in built_in_cards():
        if card.name == method:
            return card
    stored = kept if isinstance(kept, Mapping) else {}
    try:
        look = Look.model_validate(stored.get("look"))
    except ValidationError:
        look = look_of(method)
    claims = stored.get("claims")
    named = tuple(str(key) for key in claims) if isinstance(claims, list) else ()
    return Card(method, look, named, None, stored or None)
