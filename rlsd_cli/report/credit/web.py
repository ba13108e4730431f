"""The credit of two trajectories as one web page: no script, no other file, every text escaped."""

from __future__ import annotations

from html import escape

from rlsd_cli.report.credit.colours import hex_colour, ink, sign
from rlsd_cli.report.credit.data import QUANTITIES, CreditPair, Quantity, Trajectory, visible
from rlsd_cli.report.credit.terminal import title

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #111; background: #fff; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
.prompt { white-space: pre-wrap; background: #f4f4f4; padding: .6rem .8rem; }
.token { display: inline-block; font-family: ui-monospace, monospace; padding: 0 .25em; margin: 1px;
         border: 1px solid #ddd; border-radius: 3px; white-space: pre; }
.token sup { font-size: .7em; margin-left: .1em; }
.scale span { padding: 0 .6em; border: 1px solid #ddd; }
"""


def tokens_html(pair: CreditPair, trajectory: Trajectory, quantity: Quantity) -> str:
    """Return the coloured tokens; pointing at one shows its three numbers."""
    spans = []
    for i, (token, fraction) in enumerate(zip(trajectory.tokens, pair.fractions(trajectory, quantity), strict=True)):
        numbers = ", ".join(f"{each.symbol} = {trajectory.values(each)[i]:+.4f}" for each in QUANTITIES)
        mark = f"<sup>{sign(fraction)}</sup>" if sign(fraction) else ""
        spans.append(
            f'<span class="token" style="background:{hex_colour(fraction)};color:{ink(fraction)}" '
            f'title="token {i + 1}: {escape(numbers)}">{escape(visible(token))}{mark}</span>'
        )
    return "\n".join(spans)


def scale_html(pair: CreditPair, quantity: Quantity) -> str:
    """Return the legend of a quantity's colours."""
    parts = [
        f'<span style="background:{hex_colour(f)};color:{ink(f)}">{pair.end(quantity, f)}</span>'
        for f in (-1.0, -0.5, 0.0, 0.5, 1.0)
    ]
    return f'<span class="scale">{"".join(parts)}</span>'


def page(pair: CreditPair) -> str:
    """Return the whole page."""
    heading = f"{pair.label}, seed {pair.seed}, step {pair.step}, prompt {pair.prompt_id}"
    sections = []
    for trajectory in pair.trajectories:
        sections.append(f"<h2>{escape(title(trajectory))}</h2>")
        for quantity in QUANTITIES:
            sections.append(
                f"<h3>{escape(quantity.symbol)}: {escape(quantity.meaning)} {scale_html(pair, quantity)}</h3>\n"
                f"<div>{tokens_html(pair, trajectory, quantity)}</div>"
            )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Token credit: {escape(heading)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>Token credit: {escape(heading)}</h1>\n"
        f'<p class="prompt">{escape(pair.prompt)}</p>\n<p>Gold answer: {escape(pair.answer)}. Δ: how much more likely '
        "the teacher, who sees the reference, finds a token than the student. w: the clipped evidence weight. "
        "Â: the advantage that the token gets at λ = 1. Blue is above neutral, orange below; a sign marks values "
        "beyond a quarter of the scale; the scale is the same for both rollouts, for Â in units of |A|. Point at a "
        "token for its numbers.</p>\n" + "\n".join(sections) + "\n</body>\n</html>\n"
    )
