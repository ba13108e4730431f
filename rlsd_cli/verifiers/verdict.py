"""What a verifier finds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verdict:
    """A verifier's finding: the extracted answer ('' if none), whether it is right, and which rule says so.

    ``kind`` is the question's problem type, where a task's reward goes by it.
    """

    correct: bool
    extracted: str
    why: str = field(default="", compare=False)
    kind: str = field(default="", compare=False)
