"""From a comparison with its verdicts to the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from rlsd_cli.report.claims import Page
from rlsd_cli.report.claims.rules import NOT_TESTED
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.document import VERDICTS, gates_table, setup, started
from rlsd_cli.report.figures.base import ACCURACY, CLIP, ENTROPY, LEAKAGE, LENGTH, OPEN_BOOK, REWARD, Panel
from rlsd_cli.report.samples import Rollout
from rlsd_cli.report.style import ArmStyle, in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.web.cards import cards
from rlsd_cli.report.web.charts import Chart, curves, line_of
from rlsd_cli.report.web.library import library
from rlsd_cli.report.web.payload import QUANTITIES, payload
from rlsd_cli.report.web.series import Series

PANELS = (REWARD, LEAKAGE, ACCURACY, ENTROPY, LENGTH, CLIP, OPEN_BOOK)
FIRST_SHOWN = 6  # arms that are ticked when the page opens


def build(
    comparison: Comparison,
    page: Page,
    *,
    title: str,
    tables: Sequence[Table],
    samples: Mapping[str, Sequence[Rollout]],
    absent: Sequence[tuple[str, str]],
    command: str,
) -> str:
    """Return REPORT.html; equal runs give equal pages.

    Args:
        comparison: The runs.
        page: The claims with their verdicts.
        title: Of the paper whose claims they are.
        tables: Those that the runs allow.
        samples: Rollouts to show, by the label of their arm.
        absent: (section, reason) of what the runs don't allow.
        command: The command line that made the page.
    """
    from jinja2 import Environment, StrictUndefined

    variants = in_order(comparison.variants.values())
    looks, series = styles(variants), Series()
    verdicts = cards(comparison, page, looks, series)
    trained = [variant for variant in variants if variant.trained]
    charts = [_panel(panel, trained, looks, series) for panel in PANELS]
    drawn = [chart for chart in charts if chart is not None]
    chosen = payload(samples)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["code"] = _code
    sentence, table = setup(variants)
    parts = files("rlsd_cli.report").joinpath("templates")
    return environment.from_string(parts.joinpath("report.html").read_text("utf-8")).render(
        title=title,
        command=command,
        days=sorted({day for variant in variants for run in variant.runs if (day := started(run.directory))}),
        runs=sum(len(variant.runs) for variant in variants),
        counts=Counter(finding.verdict for _, finding in page.claims).most_common(),
        verdicts_explained=VERDICTS,
        cards=verdicts,
        untested=[card for card in verdicts if card.finding.verdict == NOT_TESTED],
        charts=drawn,
        arms=[_arm(variant, looks, place) for place, variant in enumerate(trained)],
        steps=sorted({*series.steps, *chosen["steps"]}),
        curve_panels=[{"key": panel.key, "title": panel.title} for panel in PANELS if panel.key in series.curves],
        samples=chosen,
        quantities=QUANTITIES,
        series=series.curves,
        tables=[table, *tables, *([gates_table(comparison.gates)] if comparison.gates else [])],
        sentence=sentence,
        notes=comparison.notes,
        absent=absent,
        cell=_cell,
        style=Markup(parts.joinpath("report.css").read_text("utf-8")),
        script=Markup(parts.joinpath("report.js").read_text("utf-8")),
        library=Markup(library()),
    )


def _panel(panel: Panel, variants: Sequence[Variant], looks: Mapping[str, ArmStyle], series: Series) -> Chart | None:
    shown = series.add(panel.key, variants)
    if not shown:
        return None
    lines = [line_of(variant, looks) for variant in variants if variant.label in shown]
    return curves(panel.key, panel.axis.replace("\n", " "), f"{panel.title} over steps of {', '.join(shown)}", lines)


def _arm(variant: Variant, looks: Mapping[str, ArmStyle], place: int) -> dict[str, Any]:
    line = line_of(variant, looks)
    return {
        "label": line.label,
        "name": line.name,
        "colour": line.colour,
        "pattern": line.pattern,
        "seeds": len(variant.runs),
        "shown": place < FIRST_SHOWN or variant.label == variant.method,
    }


def _code(text: str) -> Markup:
    """Return a text with what stands between backticks as code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def _cell(cell: Cell) -> dict[str, str]:
    """Return a cell's text, and what it is sorted by."""
    number = "" if cell.value is None else repr(float(cell.value))
    return {"text": cell.shown(), "by": number or cell.text}
