"""What a verifier finds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verdict:
    """A verifier's finding: the extracted answer ('' if none), whether it is right, and which rule says so."""

    correct: bool
    extracted: str
    why: str = field(default="", compare=False)
