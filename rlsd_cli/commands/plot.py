"""`rlsd plot`: figures, tables and the report of a set of runs; token credit in the terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    import rich.table

    from rlsd_cli.report.table import Table

WHAT, OUTPUT, CREDIT = "What to draw", "Output", "Token credit"


def plot(
    run_dirs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN_DIR…", help="Run directories, or directories that hold some.")
    ] = None,
    *,
    figure: Annotated[
        list[str] | None,
        typer.Option(help="A figure or table by name, such as fig3a; repeatable. Default: all.", rich_help_panel=WHAT),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="Default: results/ and the name of the one directory of runs given, else results/plot.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Of figures: pdf, png, svg, separated by commas; tex: also a LaTeX document that shows them all.",
            rich_help_panel=OUTPUT,
        ),
    ] = "pdf,png",
    style: Annotated[
        Literal["paper", "slides"], typer.Option(help="8 points at column width, or larger.", rich_help_panel=OUTPUT)
    ] = "paper",
    figures: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PACKAGE.MODULE",
            help="A module of your own with more figures, and claims; repeatable. Its code is run.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    claims: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PAPER",
            help="Judge the claims of another paper, too, by its arXiv number, or 'all'; repeatable.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    power: Annotated[
        bool,
        typer.Option("--power", help="Only the table of how many seeds each comparison takes.", rich_help_panel=WHAT),
    ] = False,
    gates: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Gates of the bases, which say what can't be judged on them. Default: results/gates, if it is there.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    literature: Annotated[
        bool,
        typer.Option(
            help="Draw what others have published about the arms, the given runs beside it.", rich_help_panel=WHAT
        ),
    ] = False,
    credit: Annotated[
        Path | None,
        typer.Option(metavar="RUN_DIR", help="Show this run's token credit in the terminal.", rich_help_panel=CREDIT),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Probe prompt, by number from 0 or by id.", rich_help_panel=CREDIT)
    ] = None,
    step: Annotated[
        int | None, typer.Option(min=0, help="Probe step. Default: the last.", rich_help_panel=CREDIT)
    ] = None,
) -> None:
    """Draw what the given runs allow, and say what they don't.

    Examples:
      rlsd plot runs/micro --output-dir results/micro
      rlsd plot runs/micro --figure fig3a --figure table2 --format pdf,svg
      rlsd plot runs/paper --figure report --claims 2601.18734
      rlsd plot --literature
      rlsd plot --credit runs/micro/rlsd/seed-0 --prompt 3
    """
    if literature:
        if figure or claims or credit is not None:
            raise UserError("--literature draws one picture and its table: leave --figure, --claims and --credit out.")
        draw_literature(run_dirs or [], output_dir or Path("results/literature"), formats, style)
        return
    if credit is not None:
        if claims:
            raise UserError("--claims is for the report of runs: leave it out with --credit.")
        if run_dirs:
            raise UserError("give either run directories or --credit RUN_DIR, not both.")
        show_credit(credit, prompt=prompt, step=step, output_dir=output_dir, formats=formats, style=style)
        return
    if prompt is not None or step is not None:
        raise UserError("--prompt and --step choose what --credit RUN_DIR shows: add it.")
    if not run_dirs:
        raise UserError("name at least one run directory, such as runs/micro, or use --credit RUN_DIR.")
    if figures:
        from rlsd_cli.report.figures import FIGURES, outside

        for module in figures:
            FIGURES.update(outside(module))
    chosen = ["power"] if power else figure or []
    papers = papers_asked(claims or [])
    if papers and chosen and "report" not in chosen:
        chosen = [*chosen, "report"]  # the page that has them
    draw_all(run_dirs, chosen, output_dir, formats, style, gates or Path("results/gates"), papers)


def papers_asked(names: list[str]) -> list[str]:
    """Return the papers other than the refereed one, whose claims are always judged.

    Raises:
        UserError: No file has claims of one of them.
    """
    from rlsd_cli.report.claims import check_paper, known_papers

    refereed, *others = known_papers()
    asked = [paper for name in names for paper in (others if name == "all" else [check_paper(name)])]
    return [paper for paper in dict.fromkeys(asked) if paper != refereed]


def draw_literature(run_dirs: list[Path], output: Path, formats: str, style: Literal["paper", "slides"]) -> None:
    """Write the forest plot and the table of published contrasts, with the runs beside them where some are given."""
    from rlsd_cli.report.comparison import compare
    from rlsd_cli.report.figures.forest import forest
    from rlsd_cli.report.literature import literature_table
    from rlsd_cli.report.render import check_formats, write_table
    from rlsd_cli.report.runs import find_runs
    from rlsd_cli.report.style import save, styled

    suffixes = check_formats(formats)
    with styled(style):
        picture = forest(compare(find_runs(run_dirs)) if run_dirs else None)
        written = save(picture.figure, output / "literature", suffixes)
    for reason in picture.left_out:
        typer.echo(f"literature: {reason}", err=True)
    for path in written + write_table(literature_table(), output):
        typer.echo(path)


def draw_all(
    run_dirs: list[Path],
    names: list[str],
    output_dir: Path | None,
    formats: str,
    style: Literal["paper", "slides"],
    gates: Path,
    papers: list[str],
) -> None:
    """Render everything and print what was written and what was not."""
    from rich.console import Console

    from rlsd_cli.report.comparison import compare
    from rlsd_cli.report.gates import read_gates
    from rlsd_cli.report.render import check_formats, check_names, render
    from rlsd_cli.report.runs import find_runs, output_of

    chosen, suffixes = check_names(names), check_formats(formats, paper=True)
    comparison = compare(find_runs(run_dirs))
    comparison.gates = read_gates(gates, comparison)
    output = output_dir or output_of(run_dirs)
    talk = Console(stderr=True)
    with talk.status("drawing …") as status:
        result = render(
            comparison,
            output,
            names=chosen,
            formats=suffixes,
            style=style,
            command=shlex.join(["rlsd", *sys.argv[1:]]) if sys.argv[1:2] == ["plot"] else "rlsd plot",
            papers=papers,
            told=lambda name: status.update(f"drawing {name} …"),
        )
    for note in comparison.notes:
        talk.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    partly: dict[str, list[str]] = {}
    for each in result.shown:
        for missing in each.partly:
            partly.setdefault(missing, []).append(each.name)
    for missing, where in partly.items():
        talk.print(f"{', '.join(where)}: {missing}", markup=False, highlight=False, soft_wrap=True)
    for name, reason in result.left_out:
        talk.print(f"left out {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    for each in result.shown:
        if (each.name == "summary" or chosen == [each.name]) and each.table is not None:
            talk.print(summary_table(each.table))
    for title, page in result.pages.items():
        talk.print(f"{title}:", markup=False, highlight=False, soft_wrap=True)
        for claim, finding in page.claims:
            talk.print(f"  {claim.statement}: {finding.verdict}", markup=False, highlight=False, soft_wrap=True)
    for path in result.files:
        typer.echo(path)
    if not result.files:
        raise UserError("these runs allow none of what was asked for; the reasons are above.")


def summary_table(table: Table) -> rich.table.Table:
    """Return the table of arms as the terminal shows it."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    if table.name == "summary":
        shown.caption = "Accuracy: suites; reward, leakage, length: last fifth of training; ±: 95 % interval"
    for column in (table.corner, *table.columns):
        shown.add_column(column, no_wrap=column == table.corner, min_width=max(map(len, column.split())))
    for name, cells in table.rows:
        shown.add_row(Text(name), *(Text(cell.brief()) for cell in cells))
    return shown


def show_credit(
    run_dir: Path,
    *,
    prompt: str | None,
    step: int | None,
    output_dir: Path | None,
    formats: str,
    style: Literal["paper", "slides"],
) -> None:
    """Print the credit of one prompt's rollouts; with an output directory also write the picture and the page."""
    from rich.console import Console

    from rlsd_cli.report.credit.data import select
    from rlsd_cli.report.credit.terminal import show
    from rlsd_cli.report.credit.web import page
    from rlsd_cli.report.figures.credit import draw_pair
    from rlsd_cli.report.missing import Missing
    from rlsd_cli.report.render import check_formats
    from rlsd_cli.report.runs import open_run
    from rlsd_cli.report.style import save, styled
    from rlsd_cli.runs.directory import write_text

    suffixes = check_formats(formats)
    try:
        pair = select(open_run(run_dir), prompt, step)
    except Missing as reason:
        raise UserError(f"{reason}: train with probes (log.probe_every), or choose another run.") from None
    show(pair, Console())
    if output_dir is None:
        return
    name = f"credit-step-{pair.step:06d}"
    with styled(style):
        written = save(draw_pair(pair).figure, output_dir / name, suffixes)
    web = output_dir / f"{name}.html"
    write_text(web, page(pair))
    for path in (*written, web):
        typer.echo(path)
