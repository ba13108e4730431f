"""One function per figure; `FIGURES` has them by the name that `rlsd plot --figure` takes (docs/adding-a-figure.md)."""

from __future__ import annotations

from collections.abc import Callable

from rlsd_cli.config.outside import load_module
from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.figures.architecture import fig4
from rlsd_cli.report.figures.bars import fig1b
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.figures.credit import fig6
from rlsd_cli.report.figures.efficiency import efficiency
from rlsd_cli.report.figures.exposure import exposure
from rlsd_cli.report.figures.paper import fig1a, fig3a, fig3b, fig3c, fig5a, fig5b, fig5c
from rlsd_cli.report.figures.planted import planted
from rlsd_cli.report.figures.sweeps import dose, rates
from rlsd_cli.report.figures.training import SINGLES, overview

FIGURES: dict[str, Callable[[Comparison], Picture]] = {
    "overview": overview,
    **SINGLES,
    "efficiency": efficiency,
    "fig1a": fig1a,
    "fig1b": fig1b,
    "fig3a": fig3a,
    "fig3b": fig3b,
    "fig3c": fig3c,
    "fig4": fig4,
    "fig5a": fig5a,
    "fig5b": fig5b,
    "fig5c": fig5c,
    "fig6": fig6,
    "planted": planted,
    "exposure": exposure,
    "rates": rates,
    "dose": dose,
}

__all__ = ["FIGURES", "Picture", "outside"]


def outside(module: str) -> dict[str, Callable[[Comparison], Picture]]:
    """Return the figures of a module of one's own, which holds them by name in ``FIGURES``; its code is run.

    Raises:
        UserError: It can't be imported, holds none, or a name is taken or can't be a file's.
    """
    found = getattr(load_module(module, "the figures"), "FIGURES", None)
    if not isinstance(found, dict) or not found or not all(callable(each) for each in found.values()):
        raise UserError(
            f"the module '{module}' holds no figures: it needs FIGURES = {{name: function}} (docs/adding-a-figure.md)."
        )
    for name in found:
        if not isinstance(name, str) or not name.isidentifier():
            raise UserError(f"the module '{module}' names a figure {name!r}: take letters, digits and _.")
        if name in FIGURES and FIGURES[name] is not found[name]:
            raise UserError(
                f"the module '{module}' names a figure '{name}', which there is already: take another name."
            )
    return found
