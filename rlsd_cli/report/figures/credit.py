"""Fig. 6: token-level credit of a correct and an incorrect rollout of the same prompt, as running text in colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.credit.colours import hex_colour, ink, sign
from rlsd_cli.report.credit.data import CreditPair, Quantity, Trajectory, select, visible
from rlsd_cli.report.credit.terminal import title
from rlsd_cli.report.credit.web import page
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import COLUMN, inches, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches in print.
LETTER = 0.0502  # of the fixed-width font at 6 points
GAP = 0.03  # between tokens
LINE = 0.125
LEFT = 0.2  # the symbol's place
RIGHT = 3.27
MOST_LINES = 6  # of one paragraph; what is longer goes into the web page only
LONGEST = 18  # characters of a token that are shown


def pair_of(comparison: Comparison) -> CreditPair:
    """Return the pair that Fig. 6 shows: from RLSD's lowest seed that has one, else from another arm's.

    Raises:
        Missing: No run has a prompt with both kinds of rollout.
    """
    main = comparison.main("rlsd")
    first = [main] if main is not None else []
    variants = first + [each for each in comparison.variants.values() if each is not main]
    reasons = []
    for variant in variants:
        for run in variant.runs:
            try:
                return select(run)
            except Missing as reason:
                reasons.append(str(reason))
    raise Missing(reasons[0] if reasons else "there is no run")


def shown(token: str) -> str:
    """Return a token as it is printed."""
    text = visible(token)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def places_of(tokens: tuple[str, ...]) -> list[tuple[int, float, float]]:
    """Return each token's line, left edge and width in inches, as a paragraph breaks them; all lines."""
    places, line, x = [], 0, LEFT
    for token in tokens:
        width = LETTER * (len(shown(token)) + 0.8)
        if x + width > RIGHT and x > LEFT:
            line, x = line + 1, LEFT
        places.append((line, x, width))
        x += width + GAP
    return places


def _paragraph(axes: Axes, pair: CreditPair, trajectory: Trajectory, quantity: Quantity, top: float) -> float:
    """Draw the tokens on a quantity's colours below ``top`` (inches from above); return where they end."""
    from matplotlib.patches import Rectangle

    fractions = pair.fractions(trajectory, quantity)
    axes.text(0.02, top + LINE / 2, quantity.symbol, va="center", ha="left", fontsize=points(6.5))
    last = 0
    for (line, x, width), token, fraction in zip(
        places_of(trajectory.tokens), trajectory.tokens, fractions, strict=True
    ):
        if line >= MOST_LINES:
            break
        last, y = line, top + line * LINE
        # A thick lower or upper edge tells the direction where there is no colour.
        axes.add_patch(
            Rectangle((x, y + 0.008), width, LINE - 0.016, facecolor=hex_colour(fraction), edgecolor="#BBBBBB", lw=0.3)
        )
        axes.text(
            x + width / 2,
            y + LINE / 2,
            shown(token),
            ha="center",
            va="center",
            fontsize=points(6),
            family="DejaVu Sans Mono",
            color=ink(fraction),
        )
        if mark := sign(fraction):
            edge = y + 0.014 if mark == "+" else y + LINE - 0.014
            axes.plot([x + 0.01, x + width - 0.01], [edge, edge], color=ink(fraction), lw=0.7, solid_capstyle="butt")
    return top + (last + 1) * LINE + 0.02


def _scales(axes: Axes, pair: CreditPair, top: float) -> None:
    """Draw the colour scales below one another."""
    from matplotlib.patches import Rectangle

    steps = np.linspace(-1, 1, 21)
    left, width = 2.1, 0.6
    for row, quantity in enumerate(pair.quantities):
        y = top + row * LINE
        for x, text in ((0.02, quantity.symbol), (LEFT, quantity.meaning)):
            axes.text(x, y + LINE / 2, text, ha="left", va="center", fontsize=points(5.5))
        for i, fraction in enumerate(steps):
            axes.add_patch(
                Rectangle(
                    (left + width * i / len(steps), y + 0.03),
                    width / len(steps),
                    LINE - 0.06,
                    facecolor=hex_colour(fraction),
                    lw=0,
                )
            )
        for fraction, x, align in ((-1, left - 0.03, "right"), (1, left + width + 0.03, "left")):
            axes.text(x, y + LINE / 2, pair.end(quantity, fraction), ha=align, va="center", fontsize=points(5.5))


def draw_pair(pair: CreditPair) -> Picture:
    """Return the coloured text of a pair at column width, with its web page."""
    import matplotlib.pyplot as plt

    left_out = []
    rows = 0
    for trajectory in pair.trajectories:
        lines = [place[0] for place in places_of(trajectory.tokens)]
        rows += min(lines[-1] + 1, MOST_LINES) * len(pair.quantities)
        if lines[-1] >= MOST_LINES:
            count = lines.index(MOST_LINES)
            name = title(trajectory).split(":")[0]
            left_out.append(f"tokens after number {count} of the {name} (the web page has them)")
    height = (
        rows * LINE + len(pair.trajectories) * (0.2 + 0.02 * len(pair.quantities)) + 0.08 + len(pair.quantities) * LINE
    )
    figure = plt.figure(figsize=inches(COLUMN, height))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, COLUMN)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    top = 0.02
    for trajectory in pair.trajectories:
        axes.text(0.02, top + 0.08, title(trajectory), fontsize=points(7), weight="bold", va="center")
        top += 0.17
        for quantity in pair.quantities:
            top = _paragraph(axes, pair, trajectory, quantity, top)
    _scales(axes, pair, top + 0.05)
    caption = (
        f"As Fig. 6: token credit of {pair.label} (seed {pair.seed}, step {pair.step}) on the probe prompt "
        f"“{pair.prompt}” (answer {pair.answer}). {pair.legend} The mark is a line, along the upper "
        "edge where it is above, along the lower where it is below."
    )
    if all(each.placebo is None for each in pair.trajectories):
        left_out.append("a row for a wrong reference, which the probes of this run do not record")
    return Picture(figure, caption, left_out, {"html": page(pair)})


def fig6(comparison: Comparison) -> Picture:
    """Fig. 6 of a set of runs.

    Raises:
        Missing: No run has a prompt with both kinds of rollout.
    """
    return draw_pair(pair_of(comparison))
