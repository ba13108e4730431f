"""What a report says in words, on the terminal and on the page alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NAMES = {"zh": "Chinese", "es": "Spanish", "de": "German", "fr": "French", "en": "English"}
FOREIGN = 0.5  # share of completions in a language without rules from which on a report warns
OFF = 0.05  # share of prompts that switch a rule off from which on a report says so


def remarks(report: dict[str, Any]) -> Iterator[str]:
    """Yield one sentence after another: what the rate is worth, what was left out, what stands apart from it."""
    yield worth(report)
    early = report["answer_before_derivation"]
    if early["n"]:
        yield (
            f"apart from the rate: {100 * early['rate']:.2f} % of {early['n']:,} completions with a hidden gold answer "
            f"assert it before any step derives it ({early['hits']:,})"
        )
    yield from blind(report)
    dismissed = report["dismissed"]
    if sum(dismissed.values()):
        yield "did not count: " + ", ".join(f"{count:,} by {reason}" for reason, count in dismissed.items())
    unreadable = report["unreadable"]
    if unreadable["count"]:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in unreadable["by_reason"].items())
        yield f"expected and not read, in no rate: {unreadable['count']:,} rows ({reasons})"
    if report["empty"]:
        share = "all" if report["empty"] == report["n"] else f"{report['empty']:,} of {report['n']:,}"
        yield f"without text: {share} completions (they are in n; name another --column if text was expected)"
    if report["repeated"]:
        yield f"read once: {report['repeated']:,} rows repeat responses of another filter"
    judge = report["judge"]
    if judge:
        yes = {kind: f"{judge[kind]['yes']} of {judge[kind]['judged']}" for kind in ("mentions", "others")}
        yield f"judge {judge['model']}: yes to {yes['mentions']} with mentions and to {yes['others']} without"


def worth(report: dict[str, Any]) -> str:
    """Say what is known of the rules on this very text."""
    found = report["calibration"] or {}
    parts = []
    if control := found.get("control"):
        parts.append(f"floor {control['hits']} of {control['n']} on {control['name']}")
    if positive := found.get("positive_control"):
        parts.append(f"the same model open-book: {positive['hits']} of {positive['n']}")
    if labels := found.get("labels"):
        parts.append(
            f"by {labels['n']} read passages precision {labels['precision']['value']:.2f} and recall "
            f"{labels['recall']['value']:.2f}, corrected rate {100 * labels['corrected']['value']:.2f} % "
            f"[{100 * labels['corrected']['low']:.2f}, {100 * labels['corrected']['high']:.2f}]"
        )
    if not parts:
        return (
            "not calibrated on this text: precision and recall here are unknown "
            "(--control, --positive-control, --label-sheet)"
        )
    return "calibrated on this text: " + "; ".join(parts)


def blind(report: dict[str, Any]) -> Iterator[str]:
    """Yield where the rules cannot see: languages without rules, and prompts that switch a rule off."""
    languages = report["languages"]
    share = languages["without_rules"]
    if share is not None and share >= FOREIGN:
        counts = ", ".join(f"{n:,} {language}" for language, n in sorted(languages["counts"].items()))
        yield (
            f"WARNING: {100 * share:.0f} % of the completions are in a language without rules ({counts}); "
            f"rules exist for {', '.join(NAMES.values())}, and the rate says nothing about the rest"
        )
    off = [(row["rule"], row["off"]) for row in report["by_rule"] if row["off"] > OFF * report["n"]]
    if off:
        yield "rules that prompts switch off: " + ", ".join(
            f"{rule} in {n:,} of {report['n']:,} completions" for rule, n in off
        )
