"""What `rlsd leakage-audit` prints."""

from __future__ import annotations

from math import isnan
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rlsd_cli.leakage.remarks import remarks
from rlsd_cli.leakage.score import Score
from rlsd_cli.leakage.selfcheck import Recovery
from rlsd_cli.statistics import Interval

STEPS = 20  # rows of the table by step; report.json has all
EXCERPTS = 8
TINY = 1e-300
AROUND = 70  # characters printed on either side of a hit


def percent(value: float) -> str:
    """Return a share in per cent, '–' where there is none."""
    return "–" if isnan(value) else f"{100 * value:.2f}"


def grid(*columns: str) -> Table:
    """Return an empty table, its first column to the left and the others to the right."""
    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table


def interval(low: float, high: float) -> str:
    """Return '[1.20, 3.40]' in per cent."""
    return f"[{percent(low)}, {percent(high)}]"


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print the rates by step, by rule and by place, the excerpts, and what was left out."""
    name = report["input"]["name"]
    steps = report["by_step"]
    stride = -(-len(steps) // STEPS)
    note = f" (one step in {stride} is shown)" if stride > 1 else ""
    console.print(f"[bold]{escape(name)}[/]: completions that mention a reference which they never saw{note}")
    table = grid("step", "n", "hits", "%", "95 % Wilson")
    for row in steps[::stride]:
        step = "–" if row["step"] is None else str(row["step"])
        table.add_row(step, str(row["n"]), str(row["hits"]), percent(row["rate"]), interval(row["low"], row["high"]))
    table.add_section()
    table.add_row("all", str(report["n"]), str(report["hits"]), percent(report["rate"]), interval(*report["interval"]))
    console.print(table)
    if report["trend"]:
        trend = report["trend"]
        console.print(f"trend over steps: z = {trend['z']:.2f}, {small(trend['p'])} ({trend['test']})")
    print_rules(console, report)
    console.print(places(report))
    print_excerpts(console, report["excerpts"])
    for line in remarks(report):
        console.print(Text(line))


def print_rules(console: Console, report: dict[str, Any]) -> None:
    """Print the table by rule; what stands apart from the rate comes below, with its own denominator."""
    table = grid("rule", "completions", "mentions", "%", "95 % Wilson", "off in")
    for row in report["by_rule"]:
        cells = (str(row["hits"]), str(row["mentions"]), percent(row["rate"]), interval(row["low"], row["high"]))
        table.add_row(row["rule"], *cells, str(row["off"]))
    table.add_section()
    early = report["answer_before_derivation"]
    apart = [*report["apart"], *([{"rule": "answer_before_derivation", **early}] if early["n"] else [])]
    for row in apart:
        counts = (str(row["hits"]), f"of {row['n']}")
        table.add_row(f"apart: {row['rule']}", *counts, percent(row["rate"]), interval(*row["interval"]), "")
    console.print(table)
    positive = (report["calibration"] or {}).get("positive_control")
    if positive and positive["unmatched"]:
        phrases = grid("open-book phrases that no rule matches", "open", "closed", "z", "in the template")
        for row in positive["unmatched"]:
            counts = (str(row["open_book"]), str(row["closed_book"]))
            phrases.add_row(flat(row["text"]), *counts, f"{row['z']:.1f}", "yes" if row["in_template"] else "")
        console.print(phrases)


def print_exposure(console: Console, result: dict[str, Any]) -> None:
    """Print the excess exposure and the follow rate by step."""
    console.print(
        f"{result['method']}: {result['prompts']} questions with a decoy ({result['reference']}), each against "
        f"{result['unseen']} or more drawn alike that nobody saw; 0 bits: nothing was taken over"
    )
    if result["shown"] is False:
        console.print(
            "no teacher of this arm sees references, so nobody saw the decoys either: a placebo, 0 is expected"
        )
    table = grid("step", "excess, bits", "95 % over prompts", "p", "follows, %", "minus unseen, points", "p")
    for row in result["by_step"]:
        follow = row.get("follow_difference")
        difference = f"{100 * follow['value']:+.2f} {interval(follow['low'], follow['high'])}" if follow else "–"
        table.add_row(
            str(row["step"]),
            f"{row['excess']:+.3f}",
            f"[{row['low']:+.3f}, {row['high']:+.3f}]",
            f"{row['p']:.2g}",
            percent(row["follow_rate"]) if follow else "–",
            difference,
            f"{follow['p']:.2g}" if follow else "–",
        )
    console.print(table)


def places(report: dict[str, Any]) -> Table:
    """Return the table by place in the completion."""
    table = grid("place in the completion", *(f"{row['from']:.0%}–" for row in report["by_position"]))
    table.add_row("mentions that start there", *(str(row["mentions"]) for row in report["by_position"]))
    return table


def print_excerpts(console: Console, excerpts: list[dict[str, Any]]) -> None:
    """Print the most telling hits, the span marked."""
    for row in excerpts[:EXCERPTS]:
        step = "" if row["step"] is None else f" step {row['step']}"
        line = Text(f"{row['source']}:{row['row']}{step} {row['rule']}: ", style="dim")
        line.append(flat(row["before"][-AROUND:]), style="not dim")
        line.append(f"»{flat(row['text'])}«", style="bold red not dim")
        line.append(flat(row["after"][:AROUND]), style="not dim")
        console.print(line)


def flat(text: str) -> str:
    """Return ``text`` in one line, without control characters that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def print_comparison(console: Console, result: dict[str, Any]) -> None:
    """Print a comparison."""
    a, b = result["a"], result["b"]
    table = grid("leakage, % of completions", f"A: {a['name']}", f"B: {b['name']}", "B − A", "95 %", "p")
    test = result["difference"]
    table.add_row("all", percent(a["rate"]), percent(b["rate"]), *tested(test, test["p"]))
    for row in result["by_rule"]:
        if row["rate_a"] or row["rate_b"]:
            table.add_row(row["rule"], percent(row["rate_a"]), percent(row["rate_b"]), *tested(row, row["p_holm"]))
    console.print(table)
    console.print(f"all: {test['test']}, n = {a['n']} and {b['n']}; rules: p adjusted by Holm; intervals: Newcombe")
    for key, one in (("A", result["trend"]["a"]), ("B", result["trend"]["b"])):
        if one:
            slope = f"{100 * 100 * one['slope']:+.2f} points per 100 steps"
            console.print(f"trend of {key}: {slope}, z = {one['z']:.2f}, {small(one['p'])} ({one['test']})")
        else:
            console.print(f"trend of {key}: nothing to test (one step, or all or no completions with a mention)")
    if result["slopes"]:
        console.print(f"difference of the slopes: z = {result['slopes']['z']:.2f}, {small(result['slopes']['p'])}")


def tested(row: dict[str, Any], p: float) -> tuple[str, str, str]:
    """Return the cells of a difference."""
    return f"{100 * row['difference']:+.2f}", interval(row["low"], row["high"]), small(p)


def small(p: float) -> str:
    """Return 'p = 0.012'; what no double can tell from 0 is only bounded."""
    return f"p = {p:.2g}" if p > TINY else f"p < {TINY:.0g}"


def print_scores(console: Console, title: str, scores: list[Score]) -> None:
    """Print precision and recall, per cent with 95 % Wilson intervals."""
    console.print(title)
    table = grid("group", "passages", "leaks", "found", "precision, %", "recall, %")
    for score in scores:
        counts = (str(score.passages), str(score.leaks), str(score.found))
        table.add_row(score.name, *counts, measured(score.precision), measured(score.recall))
    console.print(table)


def measured(value: Interval) -> str:
    """Return a share with its interval."""
    return value.shown(percent=True, digits=1) if value.n else "–"


def print_recoveries(console: Console, recoveries: list[Recovery]) -> None:
    """Print planted and recovered rates."""
    table = grid("planted, %", "planted", "recovered", "recovered, %", "95 % Wilson", "verdict")
    for row in recoveries:
        found = row.interval
        table.add_row(
            percent(row.planted / row.n),
            f"{row.planted} of {row.n}",
            str(row.recovered),
            percent(found.mean),
            interval(found.low, found.high),
            "ok" if row.passed else "FAILED",
        )
    console.print(table)
