"""The terminal tables of `rlsd theory`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rlsd_cli.statistics import Interval
from rlsd_cli.theory.check import Check
from rlsd_cli.theory.credit_checks import MIXES
from rlsd_cli.theory.outcomes import TradeOff

if TYPE_CHECKING:
    from rich.table import Table

    from rlsd_cli.theory.testbed import CheckpointFloor

COLOURS = {"holds": "green", "fails": "red", "measured": "cyan"}


def number(value: float) -> str:
    """Return a measurement in at most four significant digits."""
    return f"{value:.1e}" if value and not 1e-3 <= abs(value) < 1e4 else f"{value:.4g}"


def check_table(checks: Iterable[Check]) -> Table:
    """Return the table of checks: statement, measured, tolerance, verdict."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Checks (float64)", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("statement", ratio=5)
    table.add_column("measured", ratio=3)
    table.add_column("tolerance", justify="right", no_wrap=True)
    table.add_column("verdict", min_width=8)
    for check in checks:
        table.add_row(
            f"[bold]{check.source}[/]: {escape(check.statement)}",
            f"[bold]{number(check.measured)}[/] [dim]{escape(check.quantity)}[/]",
            "" if check.tolerance is None else number(check.tolerance),
            f"[{COLOURS[check.verdict]}]{check.verdict}[/]",
        )
    return table


def notes(checks: Iterable[Check]) -> Iterator[str]:
    """Yield what else there is to know, a line per check that has a note."""
    from rich.markup import escape

    for check in checks:
        if check.note:
            yield f"[bold]{check.source}[/], {escape(check.quantity)}: {escape(check.note)}."


def trade_off_table(rows: Iterable[TradeOff]) -> Table:
    """Return Table 3 as measured."""
    from rich import box
    from rich.table import Table

    def yes(value: bool) -> str:
        return "[green]yes[/]" if value else "[red]no[/]"

    title = "Table 3 as measured, means over questions"
    caption = (
        "(a) stable: the rule's own objective never gets worse. (b) sustained: accuracy above the initial mean "
        "teacher's. (c) leakage-free: the output carries no information about the references of training, drawn once "
        "per question (one r) or at each step (fresh r). Update drift: what the teacher's move alone changes."
    )
    table = Table(
        title=title, title_justify="left", caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("rule")
    headings = (
        "(a) worse\nsteps, %",
        "(b)\naccuracy",
        "(c) one r,\nnats",
        "fresh r,\nnats",
        "update\ndrift",
        "P(cites)",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.rule,
            f"{yes(row.stable)} {100 * row.worsened:.1f}",
            f"{yes(row.sustained)} {row.accuracy:.3f}",
            f"{yes(row.leakage_free)} {row.leak_one:.4f}",
            f"{row.leak_fresh:.4f}",
            f"{row.drift:.3f}",
            f"{row.citing:.4f}",
        )
    return table


def interval(value: Interval) -> str:
    """Return a mean and the half-width of its interval, in thousandths of a nat."""
    return f"{1000 * value.mean:.1f} ± {1000 * (value.high - value.low) / 2:.1f}"


def floor_table(floors: Iterable[CheckpointFloor], title: str) -> Table:
    """Return the table of a run: loss, floor and their difference at each checkpoint."""
    from rich import box
    from rich.table import Table

    caption = (
        "In 1/1000 nat per token, 95 % intervals over questions. Gap: L* from loss and floor on separate completions. "
        "Cites: the part of L* and of I that lies in whether the token starts a citation. Cosine: RLSD's gradient "
        "against GRPO's, mean over batches of the run's size."
    )
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left", box=box.SIMPLE_HEAD)
    for heading in (
        "step",
        "L_OPSD",
        "floor I",
        "L*",
        "gap",
        "cites:\nL*, %",
        "I, %",
        "cosine,\nλ=0.5",
        "λ=1",
    ):
        table.add_column(heading, justify="right")
    for row in floors:
        found = row.estimate
        table.add_row(
            str(row.step),
            interval(found.loss),
            interval(found.floor),
            interval(found.reducible),
            interval(found.gap),
            f"{100 * found.marked_reducible:.0f}",
            f"{100 * found.marked_floor:.1f}",
            *(f"{row.cosines[mix].mean:.3f}" if mix in row.cosines else "–" for mix in MIXES),
        )
    return table
