"""What claims measure, a file per subject; importing them makes them known to the files of claims."""

from rlsd_cli.report.claims.measures import (
    accuracy,
    course,
    credit,
    divergence,
    efficiency,
    leakage,
    policy,
    properties,
)

__all__ = ["accuracy", "course", "credit", "divergence", "efficiency", "leakage", "policy", "properties"]
