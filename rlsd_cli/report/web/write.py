"""From run directories to REPORT.html."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlsd_cli.errors import UserError
from rlsd_cli.report.claims.judge import judge_paper
from rlsd_cli.report.claims.papers import paper_claims
from rlsd_cli.report.comparison import Comparison, compare
from rlsd_cli.report.gates import read_gates
from rlsd_cli.report.literature import literature_table
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.runs import find_runs
from rlsd_cli.report.samples import Rollout, rollouts
from rlsd_cli.report.style import in_order
from rlsd_cli.report.table import Table
from rlsd_cli.report.tables import TABLES
from rlsd_cli.report.web.build import build
from rlsd_cli.report.web.library import library
from rlsd_cli.runs.directory import write_text

NAME = "REPORT.html"


@dataclass(frozen=True)
class Written:
    """The page, what is not in it with the reason, and what was noticed about the runs."""

    path: Path
    absent: list[tuple[str, str]]
    notes: list[str]


def write(
    run_dirs: Sequence[Path],
    output: Path,
    *,
    paper: str,
    gates: Path,
    command: str,
    told: Callable[[str], None] = lambda what: None,
) -> Written:
    """Write the page of some runs.

    Args:
        run_dirs: Run directories, or directories that hold some.
        output: Directory of the page; made if need be.
        paper: Whose claims are judged.
        gates: Directory of the bases' gates.
        command: The command line, for the page.
        told: Called with what is being done.

    Raises:
        UserError: A run can't be read, the paper is unknown, the library is missing, or ``output`` can't be written.
    """
    claims = paper_claims(paper)
    library()  # if it is missing, say so before the work
    comparison = compare(find_runs(run_dirs))
    comparison.gates = read_gates(gates, comparison)
    told("judging the claims")
    page = judge_paper(comparison, paper)
    told("making the tables")
    tables, absent = _tables(comparison)
    told("reading samples")
    samples, without = _samples(comparison)
    text = build(
        comparison, page, title=claims.title, tables=tables, samples=samples, absent=absent + without, command=command
    )
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file: give a directory with --output-dir.")
    try:
        write_text(output / NAME, text)
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror}): give another --output-dir.") from None
    return Written(output / NAME, absent + without, comparison.notes)


def _tables(comparison: Comparison) -> tuple[list[Table], list[tuple[str, str]]]:
    tables, absent = [], []
    for name, make in TABLES.items():
        try:
            tables.append(make(comparison))
        except Missing as reason:
            absent.append((name, str(reason)))
    return [*tables, literature_table()], absent


def _samples(comparison: Comparison) -> tuple[dict[str, list[Rollout]], list[tuple[str, str]]]:
    """Return the rollouts of each arm's first seed that keeps some."""
    found: dict[str, list[Rollout]] = {}
    lacking = []
    for variant in in_order(comparison.arms):
        kept = next((sampled for run in variant.runs if (sampled := rollouts(run))), [])
        if kept:
            found[variant.label] = kept
        else:
            lacking.append(variant.label)
    absent = [("samples", f"no texts are kept of {', '.join(lacking)}")] if lacking else []
    return found, absent
