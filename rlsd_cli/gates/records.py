"""The gates of a base as a file that `rlsd plot` reads: what can't be judged on it (docs/figures.md, "Gates")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlsd_cli.gates.base import Gate, Measured, gates


def record(measured: Measured, found: Sequence[Gate] | None = None) -> dict[str, Any]:
    """Return ``gates/BASE.json``: each gate with the claims that it decides on, and what figures show of the base.

    Args:
        measured: The base.
        found: Its gates, where there are more than those of every base; a gate that was not measured forbids nothing
            and is left out.
    """
    cited = measured.behaviour.rows.get("solution") or measured.behaviour.rows.get("answer")
    shown = {"open_book_cites": cited.citing / cited.n} if cited and cited.n else {}
    return {
        "gates": [
            {
                "name": gate.text,
                "value": gate.value,
                "threshold": gate.bound,
                "passed": gate.met,
                "claims": list(gate.claims),
            }
            for gate in (gates(measured) if found is None else found)
            if gate.value is not None
        ],
        "measured": shown,
    }
