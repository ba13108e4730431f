"""From run directories to files: every figure and table that the runs allow, and an account of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlsd_cli.config.layers import nearest
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims import Page, examine, judge_paper, paper_claims
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.document import document
from rlsd_cli.report.figures import FIGURES
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import FORMATS, StyleName, save, styled
from rlsd_cli.report.tables import TABLES, Table
from rlsd_cli.runs.directory import write_text

REPORT = "report"


def names() -> list[str]:
    """Return the names of all figures and tables, those of modules of one's own included."""
    return [*FIGURES, *TABLES, REPORT]


@dataclass
class Shown:
    """One figure or table that was written.

    Attributes:
        name: Its name.
        caption: What it shows.
        files: What was written.
        table: None for a figure.
        partly: What it could not show.
    """

    name: str
    caption: str
    files: list[Path]
    table: Table | None = None
    partly: list[str] = field(default_factory=list)


@dataclass
class Rendered:
    """All that was written, and what was not, with the reason; and the claims of other papers, by title."""

    shown: list[Shown] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    report: Path | None = None
    pages: dict[str, Page] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """Every file written, in order."""
        files = [path for each in self.shown for path in each.files]
        return files + ([self.report] if self.report else [])


def check_names(asked: Iterable[str]) -> list[str]:
    """Return the names asked for, all of them if none.

    Raises:
        UserError: One is unknown.
    """
    chosen, known = list(dict.fromkeys(asked)), names()
    for name in chosen:
        if name not in known:
            raise UserError(
                f"there is no figure or table '{name}'{nearest(name, known)}; there are: {', '.join(known)}."
            )
    return chosen or known


def check_formats(text: str) -> list[str]:
    """Split ``pdf,png``.

    Raises:
        UserError: A format is unknown or none is given.
    """
    formats = list(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    unknown = [each for each in formats if each not in FORMATS]
    if unknown or not formats:
        raise UserError(f"--format takes one or more of {', '.join(FORMATS)}, separated by commas; got '{text}'.")
    return formats


def render(
    comparison: Comparison,
    output: Path,
    *,
    names: Sequence[str],
    formats: Sequence[str],
    style: StyleName = "paper",
    command: str = "",
    papers: Sequence[str] = (),
    told: Callable[[str], None] = lambda name: None,
) -> Rendered:
    """Write the figures and tables named into ``output``.

    Args:
        comparison: The runs.
        output: Directory; made if need be, older files of the same names are replaced.
        names: Of figures and tables.
        formats: Of figures.
        style: Of figures.
        command: The command line, for the report.
        papers: arXiv numbers of papers whose claims the report judges after those of the refereed one.
        told: Called with each name before it is made.

    Raises:
        UserError: ``output`` can't be written.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file: give a directory with --output-dir.")
    result = Rendered()
    try:
        for name in names:
            told(name)
            try:
                if name in FIGURES:
                    result.shown.append(_figure(name, comparison, output, formats, style))
                elif name in TABLES:
                    result.shown.append(_table(name, comparison, output))
            except Missing as reason:
                result.left_out.append((name, str(reason)))
        if REPORT in names:
            told(REPORT)
            result.report = output / "REPORT.md"
            page = examine(comparison)
            result.pages = {paper_claims(paper).title: judge_paper(comparison, paper) for paper in papers}
            text = document(comparison, page, result.shown, result.left_out, output, command, result.pages)
            write_text(result.report, text)
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror}): give another --output-dir.") from None
    return result


def _figure(name: str, comparison: Comparison, output: Path, formats: Sequence[str], style: StyleName) -> Shown:
    with styled(style):
        picture = FIGURES[name](comparison)
        files = save(picture.figure, output / name, formats)
    for suffix, text in picture.pages.items():
        files.append(output / f"{name}.{suffix}")
        write_text(files[-1], text)
    return Shown(name, picture.caption, files, partly=picture.left_out)


def write_table(table: Table, output: Path) -> list[Path]:
    """Write a table as Markdown, LaTeX and CSV; return the files."""
    files = []
    for suffix, text in (("md", table.markdown()), ("tex", table.latex()), ("csv", table.csv())):
        files.append(output / f"{table.name}.{suffix}")
        write_text(files[-1], text)
    return files


def _table(name: str, comparison: Comparison, output: Path) -> Shown:
    table = TABLES[name](comparison)
    return Shown(name, table.caption, write_table(table, output), table)
