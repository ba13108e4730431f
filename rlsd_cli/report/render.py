"""From run directories to files: every figure and table that the runs allow, and an account of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlsd_cli.config.layers import nearest
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims import Page, examine, judge_paper, paper_claims
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.document import document, verdict_table
from rlsd_cli.report.figures import FIGURES
from rlsd_cli.report.latex import NAME as PAPER_NAME
from rlsd_cli.report.latex import Float, skeleton
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import paper
from rlsd_cli.report.style import FORMATS, StyleName, save, styled
from rlsd_cli.report.tables import TABLES, Table
from rlsd_cli.runs.directory import write_text

REPORT = "report"
TEX = "tex"


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
    paper: list[Path] = field(default_factory=list)
    pages: dict[str, Page] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """Every file written, in order."""
        files = [path for each in self.shown for path in each.files]
        return files + ([self.report] if self.report else []) + self.paper


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


def check_formats(text: str, *, paper: bool = False) -> list[str]:
    """Split ``pdf,png``.

    Args:
        text: The formats.
        paper: Whether ``tex``, the skeleton of a paper, is one of them; its figures are PDFs.

    Raises:
        UserError: A format is unknown or none is given.
    """
    formats = list(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    known = (*FORMATS, TEX) if paper else FORMATS
    if TEX in formats and not paper:
        raise UserError("--format tex is for the figures and tables of runs: leave it out here.")
    if not formats or not set(formats) <= set(known):
        raise UserError(f"--format takes one or more of {', '.join(known)}, separated by commas; got '{text}'.")
    return [*formats, "pdf"] if TEX in formats and "pdf" not in formats else formats


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
        page = examine(comparison) if REPORT in names or TEX in formats else None
        if REPORT in names and page is not None:
            told(REPORT)
            result.report = output / "REPORT.md"
            result.pages = {paper_claims(each).title: judge_paper(comparison, each) for each in papers}
            text = document(comparison, page, result.shown, result.left_out, output, command, result.pages)
            write_text(result.report, text)
        if TEX in formats and page is not None:
            result.paper = _paper(page, result.shown, output, command)
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror}): give another --output-dir.") from None
    return result


def _figure(name: str, comparison: Comparison, output: Path, formats: Sequence[str], style: StyleName) -> Shown:
    with styled(style):
        picture = FIGURES[name](comparison)
        files = save(picture.figure, output / name, [each for each in formats if each != TEX])
    for suffix, text in picture.pages.items():
        files.append(output / f"{name}.{suffix}")
        write_text(files[-1], text)
    return Shown(name, picture.caption, files, partly=picture.left_out)


def _paper(page: Page, shown: Sequence[Shown], output: Path, command: str) -> list[Path]:
    """Write a LaTeX document that shows every figure and table, and the table of verdicts that it needs."""
    floats = [Float(each.name, each.caption, each.table is None) for each in shown]
    verdicts = verdict_table(page)
    text = skeleton(
        f"{paper()['paper']['title']} on our runs", f"Made by {command}.", [*floats, Float("claims", figure=False)]
    )
    written = [output / "claims.tex", output / PAPER_NAME]
    for path, content in zip(written, (verdicts.latex(), text), strict=True):
        write_text(path, content)
    return written


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
