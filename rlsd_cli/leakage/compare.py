"""`--diff`: two audits against each other."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rlsd_cli.leakage.trend import Trend, slopes_differ, two_proportions
from rlsd_cli.statistics import holm


def compare(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Compare two reports: the rates, each rule, and the trends over steps.

    Returns:
        ``difference`` (B minus A) with its test; ``by_rule`` with Holm-adjusted p-values over the rules;
        ``answer_before_derivation`` (None where a side has no hidden gold answers); ``trend`` of each side
        (Cochran-Armitage) and ``slopes``, the test of their difference (None where a side has no trend).
    """
    rules = []
    for row_a, row_b in zip(a["by_rule"], b["by_rule"], strict=True):
        test = two_proportions(row_a["hits"], a["n"], row_b["hits"], b["n"])
        rules.append({"rule": row_a["rule"], "rate_a": row_a["rate"], "rate_b": row_b["rate"], **asdict(test)})
    for row, adjusted in zip(rules, holm([row["p"] for row in rules]), strict=True):
        row["p_holm"] = float(adjusted)
    early_a, early_b = a["answer_before_derivation"], b["answer_before_derivation"]
    early = None
    if early_a["n"] and early_b["n"]:
        early = asdict(two_proportions(early_a["hits"], early_a["n"], early_b["hits"], early_b["n"]))
    slopes = None
    if a["trend"] and b["trend"]:
        z, p = slopes_differ(trend_of(a["trend"]), trend_of(b["trend"]))
        slopes = {"z": z, "p": p}
    return {
        "a": side(a),
        "b": side(b),
        "difference": asdict(two_proportions(a["hits"], a["n"], b["hits"], b["n"])),
        "by_rule": rules,
        "answer_before_derivation": early,
        "trend": {"a": a["trend"], "b": b["trend"]},
        "slopes": slopes,
    }


def side(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a comparison shows of one audit."""
    return {"name": report["input"]["name"], **{key: report[key] for key in ("n", "hits", "rate", "interval")}}


def trend_of(fields: dict[str, Any]) -> Trend:
    """Return the trend of a report as an object."""
    return Trend(*(fields[key] for key in ("z", "p", "slope", "slope_error")))
