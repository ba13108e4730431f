"""What a claim is: a statement, where it stands, what is measured, the rule, the margin, the arms, the controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlsd_cli.report.claims.rules import RULES, Part, RuleName, Verdict
from rlsd_cli.report.comparison import Comparison, Variant


class NotTestable(Exception):
    """The runs are there and can't speak to the claim; the message is the reason, as a clause."""


@dataclass(frozen=True)
class Margin:
    """The smallest effect that counts.

    Attributes:
        value: In the unit of what is measured, or a factor of something that ``words`` name.
        words: As the rule prints it.
        source: Whence it is.
    """

    value: float
    words: str
    source: str = ""


@dataclass(frozen=True)
class Measured:
    """The numbers of a claim and the sentence with which they are shown."""

    parts: Sequence[Part]
    evidence: str


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        key: Its name.
        statement: What is claimed.
        place: Where.
        text: What is measured, a sentence or two.
        rule: By which the numbers become a verdict.
        margin: The smallest effect that counts.
        arms: Selectors of arms, as `rlsd_cli.report.claims.select.chosen` reads them.
        measure: From runs and claim to numbers; raises Missing where runs lack, NotTestable where they can't say.
        controls: Keys of controls: where one is not seen, a verdict that nothing is there counts for nothing.
        gates: Claims whose gates are this one's, too.
        options: Further numbers of the measure.
    """

    key: str
    statement: str
    place: str
    text: str
    rule: RuleName
    margin: Margin
    arms: tuple[str, ...]
    measure: Callable[[Comparison, Claim], Measured]
    controls: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def sentence(self) -> str:
        """What is measured and the rule, with every number in it."""
        told = f"{self.text} {RULES[self.rule].sentence}".replace("{margin}", self.margin.words)
        return f"{told} The margin is {self.margin.source}." if self.margin.source else told


@dataclass(frozen=True)
class Finding:
    """A verdict with the numbers behind it.

    Attributes:
        verdict: One of six.
        evidence: The numbers in words.
        p: Two-sided p-value of the verdict, Holm-adjusted over the claims of the page; None where nothing was tested.
        control: What the controls showed.
        parts: The numbers themselves.
    """

    verdict: Verdict
    evidence: str
    p: float | None = None
    control: str = ""
    parts: Sequence[Part] = ()


def seeds_of(seeds: Sequence[int]) -> str:
    """Return ``(seeds 0, 1, 2)``."""
    return f"(seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"


def unfinished(variant: Variant) -> str:
    """Say that a variant can't be judged yet."""
    return f"the runs of {variant.label} are unfinished"
