"""The credit of two trajectories as one web page: no script, no other file; the template escapes every text."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from rlsd_cli.report.credit.colours import hex_colour, ink, sign
from rlsd_cli.report.credit.data import CreditPair, Quantity, Trajectory, visible
from rlsd_cli.report.credit.terminal import title


def page(pair: CreditPair) -> str:
    """Return the whole page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("rlsd_cli.report").joinpath("templates", "credit.html").read_text("utf-8")

    def tokens(trajectory: Trajectory, quantity: Quantity) -> list[dict[str, Any]]:
        columns = [(each.symbol, trajectory.values(each)) for each in pair.quantities]
        return [
            {
                "text": visible(token),
                "fraction": float(fraction),
                "sign": sign(fraction),
                "numbers": ", ".join(f"{symbol} = {values[i]:+.4f}" for symbol, values in columns),
            }
            for i, (token, fraction) in enumerate(
                zip(trajectory.tokens, pair.fractions(trajectory, quantity), strict=True)
            )
        ]

    return environment.from_string(source).render(
        pair=pair,
        heading=f"{pair.label}, seed {pair.seed}, step {pair.step}, prompt {pair.prompt_id}",
        legend=f"{pair.legend} The scale is the same for both rollouts.",
        title=title,
        tokens=tokens,
        hex_colour=hex_colour,
        ink=ink,
    )
