"""report.html: one self-contained page that shows each hit in its completion. Everything shown is escaped."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from rlsd_cli.leakage.chart import rate_chart
from rlsd_cli.leakage.detect import Hit
from rlsd_cli.leakage.early import EARLY_RULE
from rlsd_cli.leakage.inputs import Completion

AROUND = 1500  # characters of a long completion that are shown on either side of a hit
ROWS = 40  # steps in the table; the chart and report.json have all


def render(report: dict[str, Any], sample: list[tuple[Completion, list[Hit]]]) -> str:
    """Return the page for a report and the completions that it shows."""
    parts = [summary(report), steps(report), rules(report), positions(report)]
    shown = report["shown"]
    if sample:
        heading = f"Hits in their completions ({shown['completions']:,} of {shown['of']:,})"
        note = (
            "<p>A sample by a hash of the place; all hits are in hits.parquet.</p>"
            if shown["of"] > shown["completions"]
            else ""
        )
        parts.append(f"<h2>{heading}</h2>{note}" + "".join(article(*entry) for entry in sample))
    parts += [dismissed(report), unreadable(report)]
    template = Template(files(__package__).joinpath("page.html").read_text("utf-8"))
    return template.substitute(name=escape(report["input"]["name"]), body="\n".join(part for part in parts if part))


def percent(value: float, digits: int = 2) -> str:
    """Return a share as per cent."""
    return f"{100 * value:.{digits}f} %"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table; cells are escaped."""
    header = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def summary(report: dict[str, Any]) -> str:
    """Return the rates in words, with what the detector is worth."""
    low, high = report["interval"]
    early, detector = report["answer_before_derivation"], report["detector"]
    lines = [
        f"<p class='big'><b>{percent(report['rate'])}</b> of {report['n']:,} completions mention a reference that "
        f"their prompt does not explain ({report['hits']:,}; 95 % Wilson interval {percent(low)} to "
        f"{percent(high)}).</p>"
    ]
    if early["n"]:
        lines.append(
            f"<p>Apart from that, {percent(early['rate'])} of {early['n']:,} completions with a hidden gold answer "
            f"assert it before any step derives it ({early['hits']:,}).</p>"
        )
    lines.append(
        f"<p>On {detector['passages']} labelled passages held apart, the phrase rules (version "
        f"{report['rules_version']}) had precision {detector['precision']} and recall {detector['recall']}.</p>"
    )
    return "".join(lines)


def steps(report: dict[str, Any]) -> str:
    """Return the chart and the table by step; '' if the completions have no steps."""
    rows = [row for row in report["by_step"] if row["step"] is not None]
    if not rows:
        return ""
    stride = -(-len(rows) // ROWS)
    cells = [
        [
            str(row["step"]),
            str(row["n"]),
            str(row["hits"]),
            percent(row["rate"]),
            percent(row["low"]),
            percent(row["high"]),
        ]
        for row in rows[::stride]
    ]
    note = f"<p>Every {stride}th step; all are in report.json.</p>" if stride > 1 else ""
    chart = rate_chart(rows) if len(rows) > 1 else ""
    return f"<h2>By training step</h2>{chart}{note}{table(['step', 'n', 'hits', 'rate', 'low', 'high'], cells)}"


def rules(report: dict[str, Any]) -> str:
    """Return the table by rule."""
    cells = [
        [f"{row['rule']}: {row['about']}", str(row["hits"]), str(row["mentions"]), percent(row["rate"])]
        for row in report["by_rule"]
    ]
    return f"<h2>By rule</h2>{table(['rule', 'completions', 'mentions', 'rate'], cells)}"


def positions(report: dict[str, Any]) -> str:
    """Return the table by place in the completion."""
    cells = [
        [f"{percent(row['from'], 0)} to {percent(row['to'], 0)}", str(row["mentions"]), percent(row["share"], 1)]
        for row in report["by_position"]
    ]
    return f"<h2>By place in the completion</h2>{table(['from the start', 'mentions', 'share'], cells)}"


def article(completion: Completion, hits: list[Hit]) -> str:
    """Return a completion with its hits marked; far from any hit a long one is cut."""
    where = f"{escape(completion.source)}, row {completion.row}"
    where += f", sample {completion.sample}" if completion.sample else ""
    where += f", step {completion.step}" if completion.step is not None else ""
    prompt = f"<details><summary>prompt</summary><pre>{escape(completion.prompt)}</pre></details>"
    header = f"<header>{where}{prompt if completion.prompt else ''}</header>"
    return f"<article>{header}<pre>{marked(completion.text, hits)}</pre></article>"


def marked(text: str, hits: list[Hit]) -> str:
    """Return ``text`` escaped, its hits in ``<mark>``; of overlapping hits the first is marked.

    >>> marked("a <b> c", [Hit("hint", 2, 5, "<b>")])
    'a <mark title="hint">&lt;b&gt;<sup>hint</sup></mark> c'
    """
    pieces = []
    place = 0
    for hit in hits:
        if hit.start < place:
            continue
        kind = ' class="early"' if hit.rule == EARLY_RULE else ""
        pieces.append(clipped(text[place : hit.start], place > 0, True))
        pieces.append(f'<mark{kind} title="{hit.rule}">{escape(hit.text)}<sup>{hit.rule}</sup></mark>')
        place = hit.end
    return "".join(pieces) + clipped(text[place:], place > 0, False)


def clipped(text: str, after_hit: bool, before_hit: bool) -> str:
    """Return the text between hits, escaped; only what is within `AROUND` of a hit stays."""
    head, tail = AROUND * after_hit, AROUND * before_hit
    if len(text) <= head + tail:
        return escape(text)
    cut = f"<span class='cut'> [… {len(text) - head - tail:,} characters …] </span>"
    return escape(text[:head]) + cut + escape(text[len(text) - tail :])


def dismissed(report: dict[str, Any]) -> str:
    """Return what matched and did not count, so that a reader can object."""
    counts = report["dismissed"]
    if not sum(counts.values()):
        return ""
    text = ", ".join(f"{counts[reason]:,} by {reason}" for reason in counts)
    rows = [
        [row["reason"], row["rule"], f"… {row['before'][-60:]}[{row['text']}]{row['after'][:60]} …"]
        for row in report["dismissed_examples"]
    ]
    return f"<h2>Matches that did not count</h2><p>{text}.</p>{table(['reason', 'rule', 'text'], rows)}"


def unreadable(report: dict[str, Any]) -> str:
    """Return the rows that could not be read."""
    bad = report["unreadable"]
    if not bad["count"]:
        return ""
    rows = [[row["source"], str(row["row"]), row["reason"]] for row in bad["rows"]]
    return f"<h2>Unreadable rows ({bad['count']:,})</h2>{table(['file', 'row', 'reason'], rows)}"
