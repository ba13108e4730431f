"""report.html: one self-contained page that shows each hit in its completion. The template escapes what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rlsd_cli.leakage.chart import rate_chart
from rlsd_cli.leakage.detect import Hit
from rlsd_cli.leakage.inputs import Completion
from rlsd_cli.leakage.remarks import remarks

AROUND = 1500  # characters of a long completion that are shown on either side of a hit
ROWS = 40  # steps in the table; the chart and report.json have all


@dataclass(frozen=True)
class Piece:
    """A stretch of a completion: plain text, a hit (with its rule), or so many characters left out."""

    text: str = ""
    rule: str = ""
    apart: bool = False
    cut: int = 0


def percent(value: float, digits: int = 2) -> str:
    """Return a share as per cent, in one unbreakable word."""
    return f"{100 * value:.{digits}f}\u00a0%"


def render(report: dict[str, Any], sample: list[tuple[Completion, list[Hit]]]) -> str:
    """Return the page for a report and the completions that it shows."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = percent
    template = environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    counted = {row["rule"] for row in report["by_rule"]}
    steps = [row for row in report["by_step"] if row["step"] is not None]
    stride = max(1, -(-len(steps) // ROWS))
    flagged = report["judge"]["flagged"] if report["judge"] else []
    return template.render(
        report=report,
        notes=list(remarks(report)),
        chart=Markup(rate_chart(steps)) if len(steps) > 1 else "",
        stride=stride,
        steps=[
            [row["step"], row["n"], row["hits"], *(percent(row[key]) for key in ("rate", "low", "high"))]
            for row in steps[::stride]
        ],
        rules=[
            [f"{row['rule']}: {row['about']}", row["hits"], row["mentions"], percent(row["rate"]), row["off"]]
            for row in report["by_rule"]
        ],
        apart=[
            [f"{row['rule']}: {row['about']}", row["hits"], row["n"], percent(row["rate"])] for row in report["apart"]
        ],
        positions=[
            [f"{percent(row['from'], 0)} to {percent(row['to'], 0)}", row["mentions"], percent(row["share"], 1)]
            for row in report["by_position"]
        ],
        sample=[(completion, pieces(completion.text, hits, counted)) for completion, hits in sample],
        flagged=[
            [f"{row['source']}, row {row['row']}", f"{row['probability']:.2f}", row["text"][:AROUND]] for row in flagged
        ],
        dismissed_counts=", ".join(f"{count:,} by {reason}" for reason, count in report["dismissed"].items()),
        dismissed=[
            [row["reason"], row["rule"], f"… {row['before'][-60:]}[{row['text']}]{row['after'][:60]} …"]
            for row in report["dismissed_examples"]
        ],
        unreadable=[[row["source"], row["row"], row["reason"]] for row in report["unreadable"]["rows"]],
    )


def pieces(text: str, hits: list[Hit], counted: set[str]) -> list[Piece]:
    """Return a completion in pieces; of overlapping hits the first is marked, and far from any hit a long text is cut.

    >>> [piece.text for piece in pieces("a <b> c", [Hit("hint", 2, 5, "<b>")], {"hint"})]
    ['a ', '<b>', ' c']
    """
    found: list[Piece] = []
    place = 0
    for hit in hits:
        if hit.start < place:
            continue
        found += clipped(text[place : hit.start], place > 0, True)
        found.append(Piece(hit.text, hit.rule, hit.rule not in counted))
        place = hit.end
    return found + clipped(text[place:], place > 0, False)


def clipped(text: str, after_hit: bool, before_hit: bool) -> list[Piece]:
    """Return the text between hits; only what is within `AROUND` of a hit stays."""
    head, tail = AROUND * after_hit, AROUND * before_hit
    if len(text) <= head + tail:
        return [Piece(text)] if text else []
    return [Piece(text[:head]), Piece(cut=len(text) - head - tail), Piece(text[len(text) - tail :])]
