"""A probe as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsd_cli.gates.kinds import KINDS
from rlsd_cli.gates.page import PROMPTS, plain_table
from rlsd_cli.gates.probe import Probed
from rlsd_cli.statistics import Interval

if TYPE_CHECKING:
    from rich.table import Table

UPDATES = {"arm": "r as configured", "wrong": "r = a wrong one", "other": "r = another question's"}


def number(value: float | None, digits: int = 3) -> str:
    """Return a number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def shown(interval: Interval) -> str:
    """Return a share with its interval."""
    return interval.shown(digits=2)


def references_table(probed: Probed) -> Table:
    """Return what the model does under each kind of prompt."""
    behaviour = probed.measured.behaviour
    own = behaviour.own
    rows = []
    for name, text in PROMPTS.items():
        row = behaviour.rows.get(name)
        if row is None or not row.n:
            continue
        label = text.replace(" of its own", "") if name.startswith("wrong") else text
        follows = "–" if row.followed is None else shown(row.share("followed"))
        gain = "–" if name == "closed" else shown(behaviour.gain(name))
        rows.append([label, str(row.n), shown(row.share("right")), gain, follows, shown(row.share("cites"))])
    table = plain_table(["prompt", "n", "right", "minus closed, paired", "follows r", "mentions a reference"], rows)
    table.caption = (
        f"95 % intervals, the question as the unit. Wrong references: {own} of the model's own, else decoys."
    )
    return table


def updates_table(probed: Probed) -> Table:
    """Return the arm's update beside GRPO's."""
    rows = []
    for name, text in UPDATES.items():
        if any(name in each.cosine for each in probed.updates):
            keys = (("cosine", name), ("ratio", name), ("increment", name))
            rows.append([text, *(number(probed.mean(*key)) for key in keys)])
    columns = [
        "update of the arm",
        "cosine with GRPO's",
        "norm / GRPO's",
        "cosine of (arm − GRPO) with r as configured",
    ]
    return plain_table(columns, rows)


def kinds_table(probed: Probed) -> Table:
    """Return the share of the gradient by kind of token."""
    columns = ["kind of token", "of the tokens", "of GRPO's gradient", "of the arm's"]
    names = ["grpo", "arm"]
    for name, text in (("wrong", "r = wrong"), ("other", "r = other")):
        if any(name in each.shares for each in probed.updates):
            columns.append(text)
            names.append(name)
    rows = []
    for kind in KINDS:
        tokens = sum(each.tokens[kind] for each in probed.updates) / len(probed.updates)
        if tokens:
            rows.append([kind, number(tokens), *(number(probed.share(name, kind)) for name in names)])
    return plain_table(columns, rows)
