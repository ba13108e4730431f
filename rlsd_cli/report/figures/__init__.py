"""One function per figure; `FIGURES` lists them by the name that `rlsd plot --figure` takes."""

from __future__ import annotations

from collections.abc import Callable

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.figures.bars import fig1b
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.figures.credit import fig6
from rlsd_cli.report.figures.paper import fig1a, fig3a, fig3b, fig3c, fig5a, fig5b, fig5c
from rlsd_cli.report.figures.planted import planted
from rlsd_cli.report.figures.training import SINGLES, overview

FIGURES: dict[str, Callable[[Comparison], Picture]] = {
    "overview": overview,
    **SINGLES,
    "fig1a": fig1a,
    "fig1b": fig1b,
    "fig3a": fig3a,
    "fig3b": fig3b,
    "fig3c": fig3c,
    "fig5a": fig5a,
    "fig5b": fig5b,
    "fig5c": fig5c,
    "fig6": fig6,
    "planted": planted,
}

__all__ = ["FIGURES", "Picture"]
