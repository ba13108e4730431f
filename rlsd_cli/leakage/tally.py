"""Counting: everything of a report that is a number, in memory that does not grow with the completions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from rlsd_cli.leakage.detect import DISMISSALS, Hit
from rlsd_cli.leakage.early import EARLY_RULE, FIRST_RULE
from rlsd_cli.leakage.inputs import Completion, Unreadable
from rlsd_cli.leakage.language import LANGUAGES
from rlsd_cli.leakage.rules import Rule
from rlsd_cli.leakage.trend import cochran_armitage
from rlsd_cli.statistics import wilson_interval

BINS = 10  # deciles of the completion's length, by the place where a mention starts
NAMED_ROWS = 1000  # unreadable rows that a report lists one by one; all are counted


@dataclass
class Tally:
    """Running counts of an audit."""

    families: dict[str, Rule]  # the phrase rules
    included: tuple[str, ...] = ()  # rules apart that the user wants in the rate
    n: Counter[int | None] = field(default_factory=Counter)  # completions by step
    hits: Counter[int | None] = field(default_factory=Counter)  # completions with a mention by step
    mentions: Counter[str] = field(default_factory=Counter)  # mentions by rule
    completions: Counter[str] = field(default_factory=Counter)  # completions with a mention by rule
    positions: Counter[int] = field(default_factory=Counter)  # mentions by bin
    early_n: Counter[int | None] = field(default_factory=Counter)  # completions whose answer was hidden, by step
    early_hits: Counter[int | None] = field(default_factory=Counter)
    dismissed: Counter[str] = field(default_factory=Counter)  # matches that did not count, by reason
    reasons: Counter[str] = field(default_factory=Counter)  # unreadable rows by reason
    unreadable_rows: list[dict[str, Any]] = field(default_factory=list)
    apart: Counter[str] = field(default_factory=Counter)  # completions with a hit of a rule apart from the rate
    first_hits: int = 0  # completions that state a hidden answer first, in other words
    switched_off: Counter[str] = field(default_factory=Counter)  # completions in whose prompt a rule is off
    languages: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    empty: int = 0

    def add(
        self,
        completion: Completion,
        mentions: list[Hit],
        dismissed: Iterable[str],
        early: dict[str, bool] | None,
        apart: Iterable[str] = (),
    ) -> None:
        """Count a completion.

        Args:
            completion: The completion.
            mentions: Its mentions.
            dismissed: Why other matches in it do not count.
            early: Whether it states its answer before any derivation, by rule; None where that can't be told (no
                gold answer, or one that the prompt shows).
            apart: The rules apart from the rate that have a hit.
        """
        self.n[completion.step] += 1
        self.empty += not completion.text.strip()
        self.hits[completion.step] += bool(mentions)
        self.mentions.update(hit.rule for hit in mentions)
        self.completions.update({hit.rule for hit in mentions})
        self.positions.update(BINS * hit.start // len(completion.text) for hit in mentions)
        self.dismissed.update(dismissed)
        self.apart.update(set(apart))
        if early is not None:
            self.early_n[completion.step] += 1
            self.early_hits[completion.step] += early[EARLY_RULE]
            self.first_hits += early[FIRST_RULE]

    def add_unreadable(self, row: Unreadable) -> None:
        """Count a row that could not be read, and name it."""
        self.reasons[row.reason] += 1
        if len(self.unreadable_rows) < NAMED_ROWS:
            self.unreadable_rows.append(asdict(row))

    @property
    def total(self) -> int:
        """Completions that were read."""
        return self.n.total()

    def report(self) -> dict[str, Any]:
        """Return the counts as the fields of report.json (docs/leakage-audit.md).

        Raises:
            ValueError: No completion was read.
        """
        steps = by_step(self.hits, self.n)
        return {
            **share(self.hits.total(), self.total),
            "mentions": self.mentions.total(),
            "empty": self.empty,
            "by_step": steps,
            "trend": trend(steps),
            "by_rule": [
                {
                    "rule": rule.name,
                    "about": rule.about,
                    "hits": self.completions[rule.name],
                    "mentions": self.mentions[rule.name],
                    "off": self.switched_off[rule.name],
                    **ends(self.completions[rule.name], self.total),
                }
                for rule in self.families.values()
                if not rule.apart or rule.name in self.included
            ],
            "apart": self.rules_apart(),
            "languages": self.language_report(),
            "by_position": [
                {
                    "from": round(index / BINS, 3),
                    "to": round((index + 1) / BINS, 3),
                    "mentions": self.positions[index],
                    "share": self.positions[index] / self.mentions.total() if self.mentions.total() else 0.0,
                }
                for index in range(BINS)
            ],
            "answer_before_derivation": {
                **(share(self.early_hits.total(), self.early_n.total()) if self.early_n else {"n": 0, "hits": 0}),
                "by_step": by_step(self.early_hits, self.early_n),
            },
            "dismissed": {reason: self.dismissed[reason] for reason in DISMISSALS},
            "unreadable": {
                "count": self.reasons.total(),
                "by_reason": dict(sorted(self.reasons.items())),
                "rows": self.unreadable_rows,
            },
            "repeated": self.repeated,
        }

    def rules_apart(self) -> list[dict[str, Any]]:
        """Return the rules that are not in the rate, each with its own denominator."""
        rows = [
            {"rule": rule.name, "about": rule.about, **share(self.apart[rule.name], self.total)}
            for rule in self.families.values()
            if rule.apart and rule.name not in self.included
        ]
        if self.early_n:
            about = "a hidden gold answer stated first, in other words than `answer is`"
            rows.append({"rule": FIRST_RULE, "about": about, **share(self.first_hits, self.early_n.total())})
        return rows

    def language_report(self) -> dict[str, Any]:
        """Return the completions by language, and the share for which there are no rules (null without text)."""
        known = self.languages.total() - self.languages["none"]
        return {
            "counts": dict(sorted(self.languages.items())),
            "without_rules": 1 - sum(self.languages[language] for language in LANGUAGES) / known if known else None,
        }


def ends(hits: int, n: int) -> dict[str, float]:
    """Return a rate and the ends of its 95 % Wilson interval."""
    interval = wilson_interval(hits, n)
    return {"rate": interval.mean, "low": interval.low, "high": interval.high}


def share(hits: int, n: int) -> dict[str, Any]:
    """Return n, hits, rate and the interval as a list."""
    interval = wilson_interval(hits, n)
    return {"n": n, "hits": hits, "rate": interval.mean, "interval": [interval.low, interval.high]}


def by_step(hits: Counter[int | None], n: Counter[int | None]) -> list[dict[str, Any]]:
    """Return a row per step, in order; completions without a step come last."""
    steps = sorted(n, key=lambda step: (step is None, step or 0))
    return [{"step": step, "n": n[step], "hits": hits[step], **ends(hits[step], n[step])} for step in steps]


def trend(steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Test the rows of `by_step` for a trend; None where there is nothing to test."""
    rows = [row for row in steps if row["step"] is not None]
    found = cochran_armitage([row["step"] for row in rows], [row["hits"] for row in rows], [row["n"] for row in rows])
    return {"test": "Cochran-Armitage", **asdict(found)} if found else None
