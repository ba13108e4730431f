"""`rlsd theory` without a run: every exact check, the dynamics and the direction study, as one result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rlsd_cli.theory.check import Check
from rlsd_cli.theory.credit_checks import (
    EPSILON_W,
    MIXES,
    SPREAD,
    DirectionStudy,
    direction_checks,
    isolations,
    study_direction,
)
from rlsd_cli.theory.identity_checks import beyond_theorem_1, proposition_1, theorem_1, theorem_4
from rlsd_cli.theory.outcomes import RATE, STEPS, Study, dynamics_checks, study_dynamics, trade_offs

WORLDS = 120
DESCENTS = 12  # models of each kind in which a student descends
CREDITS = 20_000


@dataclass(frozen=True)
class Exact:
    """Everything that the exact part found."""

    seed: int
    checks: list[Check]
    dynamics: Study
    direction: DirectionStudy

    @property
    def broken(self) -> list[Check]:
        """Return the proven identities that failed: errors of the code."""
        return [check for check in self.checks if check.must_hold and check.verdict == "fails"]


def run_exact(seed: int, on_part: Callable[[str], None] = lambda part: None) -> Exact:
    """Run all exact checks.

    Args:
        seed: Decides every random model.
        on_part: Called with the name of each part before it runs.
    """
    on_part("identities")
    checks = [*theorem_1(WORLDS, seed), *beyond_theorem_1(DESCENTS, seed)]
    checks += [*proposition_1(WORLDS, seed), *theorem_4(WORLDS, seed)]
    on_part("dynamics")
    dynamics = study_dynamics(seed)
    checks += dynamics_checks(dynamics)
    on_part("credit")
    checks += isolations(CREDITS, seed)
    direction = study_direction(seed)
    checks += direction_checks(direction)
    return Exact(seed, checks, dynamics, direction)


def report(exact: Exact) -> dict[str, Any]:
    """Return report.json of the exact part (docs/theory.md)."""
    curves = {
        outcome.rule.name: {
            "leakage_one_reference": outcome.one.mean(1).tolist(),
            "leakage_fresh_references": outcome.fresh.mean(1).tolist(),
            **{name: outcome.curves.stacked(name).mean(1).tolist() for name in ("loss", "floor", "accuracy", "share")},
        }
        for outcome in exact.dynamics.outcomes
    }
    study = exact.direction
    return {
        "kind": "exact",
        "seed": exact.seed,
        "checks": [asdict(check) for check in exact.checks],
        "trade_offs": [asdict(row) for row in trade_offs(exact.dynamics)],
        "dynamics": {
            "steps": STEPS,
            "learning_rate": RATE,
            "questions": len(exact.dynamics.world.questions),
            "mean": curves,
        },
        "direction": {
            "epsilon_w": EPSILON_W,
            "evidence_spread": SPREAD,
            "lengths": study.lengths.tolist(),
            "by_mix": {
                f"{mix:g}": {
                    "sampled": study.sampled[mix].tolist(),
                    "searched": study.searched[mix].tolist(),
                    "worst_by_length": study.worst[mix].tolist(),
                    "random_by_length_5_50_95": study.random[mix].tolist(),
                }
                for mix in MIXES
            },
        },
    }
