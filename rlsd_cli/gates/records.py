"""The gates of a base as a file that `rlsd plot` reads: what can't be judged on it (docs/figures.md, "Gates")."""

from __future__ import annotations

from typing import Any

from rlsd_cli.gates.base import Measured, gates


def record(measured: Measured) -> dict[str, Any]:
    """Return ``gates/BASE.json``: each gate with the claims that it decides on, and what figures show of the base."""
    solution = measured.behaviour.rows["solution"]
    return {
        "gates": [
            {
                "name": gate.text,
                "value": gate.value,
                "threshold": gate.bound,
                "passed": gate.met,
                "claims": list(gate.claims),
            }
            for gate in gates(measured)
        ],
        "measured": {"open_book_cites": solution.citing / max(solution.n, 1)},
    }
