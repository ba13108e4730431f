"""Which variant a claim means by ``rlsd``, ``rlsd:evidence=noise`` or ``grpo:steps=2x``."""

from __future__ import annotations

from typing import Any

from rlsd_cli.report.claims.base import unfinished
from rlsd_cli.report.comparison import Comparison, Variant, settings
from rlsd_cli.report.missing import Missing

SECTIONS = ("objective", "teacher", "train")
DEFAULTS = {"objective.evidence": "teacher", "objective.support": "full", "teacher.source": "online"}


def chosen(comparison: Comparison, selector: str) -> Variant:
    """Return the finished variant that a selector names.

    Args:
        comparison: The runs.
        selector: A method, alone for the variant that stands for it; or with settings of ``objective``, ``teacher`` or
            ``train`` in which it differs from that one, such as ``opsd:source=frozen``. ``steps=2x`` are twice as many
            as that one's.

    Raises:
        Missing: There is none, or it is unfinished.
    """
    method, _, wanted = selector.partition(":")
    main = comparison.main(method)
    variant = main
    if wanted:
        pairs = [item.partition("=")[::2] for item in wanted.split(",")]
        variant = _nearest([each for each in comparison.of_method(method) if _has(each, pairs, main)], main)
    if variant is None:
        several = [each.label for each in comparison.of_method(method)] if not wanted else []
        hint = f"; none of {', '.join(several)} is labelled '{method}'" if several else ""
        raise Missing(f"there is no run of {method}{f' with {wanted}' if wanted else ''}{hint}")
    if not variant.complete:
        raise Missing(unfinished(variant))
    return variant


def setting(variant: Variant, name: str) -> Any:
    """Return a setting by its last part; None where the variant has none of that name."""
    for section in SECTIONS:
        value = variant.option(f"{section}.{name}", DEFAULTS.get(f"{section}.{name}"))
        if value is not None:
            return value
    return None


def _has(variant: Variant, pairs: list[tuple[str, str]], main: Variant | None) -> bool:
    for name, wanted in pairs:
        if wanted.endswith("x") and wanted[:-1].isdigit():
            base = setting(main, name) if main is not None else None
            if base is None or setting(variant, name) != int(wanted[:-1]) * base:
                return False
        elif str(setting(variant, name)).replace("-", "_") != wanted.replace("-", "_"):
            return False
    return True


def _nearest(candidates: list[Variant], main: Variant | None) -> Variant | None:
    """Return the candidate that differs least from the arm's main variant, the shortest-named among equals."""
    if not candidates:
        return None
    own = settings(main.runs[0].config) if main is not None else {}

    def distance(variant: Variant) -> tuple[int, int, str]:
        other = settings(variant.runs[0].config)
        differing = sum(repr(own.get(key)) != repr(other.get(key)) for key in own.keys() | other.keys())
        return differing, len(variant.label), variant.label

    return min(candidates, key=distance)
