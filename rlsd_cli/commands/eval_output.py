"""What `rlsd eval` prints: tables, or JSON on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from rlsd_cli.runs.directory import jsonable
from rlsd_cli.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd


def percent(value: float, interval: list[float] | None) -> str:
    """Return '43.5 [36.8, 50.4]' for a share and its interval."""
    return Interval.of(value, interval).shown(percent=True, digits=1)


def table(title: str, first: str, columns: list[str]) -> Any:
    """Return an empty table: the first column of words, the others of numbers."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(title=escape(title), title_justify="left")
    made.add_column(first)
    for column in columns:
        made.add_column(column, justify="right", no_wrap="[" in column)
    return made


def summaries(found: list[dict[str, Any]], run: str, as_json: bool) -> None:
    """Print the summaries of an evaluation, benchmarks with their own numbers."""
    from rich.console import Console

    if as_json:
        typer.echo(json.dumps(jsonable(found), indent=1))
        return
    counts = {row["samples"] for row in found}
    average = f"avg@{counts.pop() if len(counts) == 1 else 'k'}, % [95 %]"
    shown = table(
        f"{run}, step {found[0]['checkpoint_step']}",
        "suite",
        ["questions", "greedy, % [95 %]", average, "leakage, %", "tokens"],
    )
    for row in found:
        shown.add_row(
            row["suite"],
            str(row["n_questions"]),
            percent(row["greedy_accuracy"], row["greedy_interval"]),
            percent(row["avg_at_k"], row["avg_at_k_interval"]),
            f"{100 * row['leakage_rate']:.1f}",
            f"{row['mean_length']:.1f}",
        )
    Console().print(shown)
    for row in found:
        if row.get("unanswerable"):
            count, what = len(row["unanswerable"]), "left out" if row["unanswerable_are"] == "dropped" else "wrong"
            typer.echo(f"{row['suite']}: {count} questions that nothing could be right for are {what}.")
        if set(row.get("metrics", ())) - {"accuracy"}:
            Console().print(own_numbers(row, average))


REASONS = 4  # right verdicts, and as many wrong ones


def reasons(frames: list[pd.DataFrame], as_json: bool) -> None:
    """Print a few verdicts of each suite, right and wrong ones: what was read, what was wanted, which rule decided.

    Beside JSON on stdout they go to stderr.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=as_json)
    for frame in frames:
        wrong, right = frame[~frame["correct"]], frame[frame["correct"]]
        shown = table(f"{frame['suite'].iloc[0]}: why", "question", [])
        for name in ("verdict", "read as the answer", "gold", "rule"):
            shown.add_column(name)
        for part, verdict in ((wrong, "wrong"), (right, "right")):
            for row in part.head(REASONS).itertuples():
                cells = (str(row.prompt_id), verdict, row.extracted or "–", row.answer, row.why)
                shown.add_row(*(escape(str(cell)) for cell in cells))
        console.print(shown)


def own_numbers(row: dict[str, Any], average: str) -> Any:
    """Return the table of a benchmark's own numbers."""
    shown = table(row["suite"], "number", ["greedy, % [95 %]", average])
    for name, value in row["metrics"].items():
        if name == "problems":  # the only count
            shown.add_row(name, f"{value['greedy']:.0f}", f"{value['avg_at_k']:.0f}")
        else:
            shown.add_row(
                name,
                percent(value["greedy"], value["greedy_interval"]),
                percent(value["avg_at_k"], value["avg_at_k_interval"]),
            )
    return shown


def comparison(found: list[dict[str, Any]], notes: list[str], title: str, as_json: bool) -> None:
    """Print paired differences, of ``n`` questions each; what makes them doubtful goes to stderr."""
    from rich.console import Console

    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if as_json:
        typer.echo(json.dumps(jsonable(found), indent=1))
        return
    shown = table(title, "suite", ["how", "n", "here, %", "there, %", "points [95 %]", "p", "Holm"])
    for each in found:
        for name, value in each["differences"].items():
            main = name == "accuracy"
            if name != "problems":
                shown.add_row(
                    each["suite"] if main else f"{each['suite']}, {name}",
                    each["kind"],
                    str(each["questions"]),
                    f"{100 * value['ours']:.1f}",
                    f"{100 * value['theirs']:.1f}",
                    percent(value["difference"], value["interval"]),
                    f"{each['p']:.3f}" if main else "",
                    f"{each['p_holm']:.3f}" if main else "",
                )
    Console().print(shown)
