"""Charts of the page as Vega-Lite specifications: what is drawn stands here, the library draws it in the browser.

Text is drawn in ``currentColor``, so a chart follows the page from light to dark. The data of curves lie in the page
once (`rlsd_cli.report.web.series`); a chart names its key and arms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlsd_cli.report.comparison import Variant
from rlsd_cli.report.style import ArmStyle

INK = "currentColor"
FAINT = {"opacity": 0.25}
CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "tickColor": INK,
        "domainColor": INK,
        "gridColor": INK,
        "gridOpacity": 0.12,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
    },
}
HEIGHT = 190
ROW = 24  # pixels of a row of intervals


@dataclass(frozen=True)
class Line:
    """How an arm's curve is drawn and called."""

    label: str
    name: str
    colour: str
    dashes: tuple[float, ...] = ()

    @property
    def pattern(self) -> str:
        """The dashes as SVG writes them; '' for a solid line."""
        return " ".join(f"{length:g}" for length in self.dashes)


@dataclass(frozen=True)
class Chart:
    """A specification, what a reader who can't see it is told, and of curves the key and lines whose data it takes."""

    spec: dict[str, Any]
    words: str
    key: str = ""
    lines: tuple[Line, ...] = ()


def line_of(variant: Variant, looks: Mapping[str, ArmStyle]) -> Line:
    """Return how a variant's curve is drawn."""
    look = looks[variant.label]
    dashes = look.line[1] if isinstance(look.line, tuple) else ()
    return Line(variant.label, look.name, ink(look.colour), dashes)


def ink(colour: str) -> str:
    """Return an arm's colour for a page that may be dark: what is black in print is the colour of the text."""
    return INK if colour.upper() == "#000000" else colour


def curves(key: str, title: str, words: str, lines: Sequence[Line], rules: Sequence[float] = ()) -> Chart:
    """Return curves over steps: mean thick, seeds thin, the slider's step as a line.

    Args:
        key: Of the series.
        title: Of the y axis.
        words: For readers who can't see it.
        lines: One for each arm.
        rules: Values to mark, dashed.
    """
    names = [line.label for line in lines]
    colour = {
        "field": "arm",
        "type": "nominal",
        "scale": {"domain": names, "range": [line.colour for line in lines]},
        "legend": None,
    }
    dash = {
        "field": "arm",
        "type": "nominal",
        "scale": {"domain": names, "range": [line.dashes or [1, 0] for line in lines]},
        "legend": None,
    }
    x = {"field": "step", "type": "quantitative", "title": "step", "axis": {"tickCount": 5, "grid": False}}
    y = {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False}}
    layers: list[dict[str, Any]] = [
        {
            "transform": [{"filter": "datum.seed != null"}],
            "mark": {"type": "line", "strokeWidth": 0.7, "opacity": 0.4},
            "encoding": {"x": x, "y": y, "color": colour, "detail": [{"field": "arm"}, {"field": "seed"}]},
        },
        {
            "transform": [{"filter": "datum.seed == null"}],
            "mark": {"type": "line", "strokeWidth": 2.2},
            "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash},
        },
        {
            "data": {"values": [{}]},
            "mark": {"type": "rule", "color": INK, **FAINT},
            "encoding": {"x": {"datum": {"expr": "step"}, "type": "quantitative"}},
        },
    ]
    layers += [
        {
            "data": {"values": [{"at": value}]},
            "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3] if value else [1, 0], "opacity": 0.7},
            "encoding": {"y": {"field": "at", "type": "quantitative"}},
        }
        for value in rules
    ]
    spec = _spec(HEIGHT, {"data": {"name": "curves"}, "layer": layers, "params": [{"name": "step", "value": 0}]})
    return Chart(spec, words, key, tuple(lines))


def intervals(rows: Sequence[dict[str, Any]], title: str, words: str) -> Chart:
    """Return one row per number: a point with its interval, the margin as a dashed tick, zero as a line.

    Args:
        rows: Each with ``name``, ``kind`` (claim, placebo or control), ``value``, ``low``, ``high`` (None where not
            known) and ``margins``.
        title: Of the x axis.
        words: For readers who can't see it.
    """
    order = [row["name"] for row in rows]
    y = {
        "field": "name",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelLimit": 170, "domain": False, "ticks": False},
    }
    shape = {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": ["claim", "placebo", "control"], "range": ["circle", "square", "diamond"]},
        "legend": None,
    }
    filled = {"condition": {"test": "datum.kind == 'claim'", "value": INK}, "value": "transparent"}
    margins = [{"name": row["name"], "at": margin} for row in rows for margin in row["margins"]]
    plain = [{name: value for name, value in row.items() if name != "margins"} for row in rows]
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"at": 0}]},
            "mark": {"type": "rule", "color": INK, "opacity": 0.5},
            "encoding": {"x": {"field": "at", "type": "quantitative", "title": title, "axis": {"tickCount": 5}}},
        },
        {
            "data": {"values": margins},
            "mark": {"type": "tick", "color": INK, "thickness": 1.2, "size": ROW - 4, "strokeDash": [3, 2]},
            "encoding": {"x": {"field": "at", "type": "quantitative"}, "y": y},
        },
        {
            "transform": [{"filter": "datum.low != null"}],
            "mark": {"type": "rule", "color": INK, "strokeWidth": 1.6},
            "encoding": {
                "x": {"field": "low", "type": "quantitative"},
                "x2": {"field": "high"},
                "y": y,
            },
        },
        {
            "mark": {"type": "point", "size": 55, "stroke": INK, "strokeWidth": 1.4, "opacity": 1},
            "encoding": {
                "x": {"field": "value", "type": "quantitative"},
                "y": y,
                "shape": shape,
                "fill": filled,
                "tooltip": [
                    {"field": "name", "title": "what"},
                    *({"field": key, "format": "+.4f"} for key in ("value", "low", "high")),
                ],
            },
        },
    ]
    return Chart(_spec({"step": ROW}, {"data": {"values": plain}, "layer": layers}), words)


def _spec(height: Any, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": CONFIG,
        **body,
    }
