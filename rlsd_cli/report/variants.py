"""Recognising the variants that the paper's figures and tables are about, from the runs' settings."""

from __future__ import annotations

from rlsd_cli.report.comparison import Comparison, Variant

SUPPORTS = {"full": "full", "teacher_top1": "teacher-top-1", "student_top1": "student-top-1"}


def _support(variant: Variant) -> str:
    return str(variant.option("objective.support", "full")).replace("-", "_")


def opsd_supports(comparison: Comparison) -> dict[str, Variant]:
    """Return the OPSD variants of Fig. 3 by support; of several with one support, the main or shortest-named one."""
    main = comparison.main("opsd")
    found: dict[str, Variant] = {}
    for key, name in SUPPORTS.items():
        candidates = [variant for variant in comparison.of_method("opsd") if _support(variant) == key]
        if main in candidates:
            candidates = [main] if main is not None else []
        if candidates:
            found[name] = min(candidates, key=lambda variant: len(variant.label))
    return found


def teacher_source(variant: Variant) -> str:
    """Return where a variant's teacher comes from: online, frozen, synced, ema."""
    return str(variant.option("teacher.source", "online"))
