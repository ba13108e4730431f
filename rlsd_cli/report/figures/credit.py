"""Fig. 6: token-level credit of one correct and one incorrect rollout of the same prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.credit.colours import hex_colour, ink, sign
from rlsd_cli.report.credit.data import QUANTITIES, CreditPair, Trajectory, select, visible
from rlsd_cli.report.credit.terminal import title
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import COLUMN, inches, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PER_LINE = 28  # tokens in a line of a column: 0.11 inches each, room for a letter in print
MOST_LINES = 6  # of a trajectory; what is longer goes into the web page only
CELL = 0.15  # inches: height of one quantity's row
LETTER = 0.058  # inches: width of a letter in print
LONGEST = 11  # characters of a token that are shown


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


def lines_of(n_tokens: int) -> list[slice]:
    """Split a trajectory into lines of about equal length, none longer than PER_LINE."""
    width = -(-n_tokens // -(-n_tokens // PER_LINE))
    return [slice(start, min(start + width, n_tokens)) for start in range(0, n_tokens, width)]


def _shown(trajectory: Trajectory, part: slice) -> list[str]:
    """Return the tokens of a line as they are printed."""
    texts = [visible(token) for token in trajectory.tokens[part]]
    return [text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in texts]


def _line(axes: Axes, pair: CreditPair, trajectory: Trajectory, part: slice) -> None:
    """Draw one line: a row of cells for each quantity, tokens upright above their column."""
    from matplotlib.patches import Rectangle

    for row, quantity in enumerate(QUANTITIES):
        fractions = pair.fractions(trajectory, quantity)[part]
        for column, fraction in enumerate(fractions):
            box = Rectangle((column, row), 1, 1, facecolor=hex_colour(fraction), edgecolor="#BBBBBB", linewidth=0.3)
            axes.add_patch(box)
            axes.text(
                column + 0.5,
                row + 0.52,
                sign(fraction),
                ha="center",
                va="center",
                fontsize=points(6),
                color=ink(fraction),
            )
    shown = _shown(trajectory, part)
    axes.set_xlim(0, PER_LINE)
    axes.set_ylim(len(QUANTITIES) + 0.04, -0.04)
    axes.set_xticks(np.arange(len(shown)) + 0.5, shown, rotation=90, fontsize=points(6.5))
    axes.xaxis.tick_top()
    axes.set_yticks(np.arange(len(QUANTITIES)) + 0.5, [quantity.symbol for quantity in QUANTITIES])
    axes.tick_params(length=0, pad=1.5)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _scales(axes: Axes, pair: CreditPair) -> None:
    """Draw the three colour scales side by side."""
    from matplotlib.patches import Rectangle

    axes.set_xlim(0, 3)
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    steps = np.linspace(-1, 1, 21)
    for place, quantity in enumerate(QUANTITIES):
        left, width = place + 0.08, 0.84
        for i, fraction in enumerate(steps):
            x = left + width * i / len(steps)
            axes.add_patch(Rectangle((x, 0.42), width / len(steps), 0.25, facecolor=hex_colour(fraction), linewidth=0))
        axes.text(
            left + width / 2,
            0.78,
            f"{quantity.symbol} {quantity.meaning}",
            ha="center",
            va="bottom",
            fontsize=points(6),
        )
        frame = Rectangle((left, 0.42), width, 0.25, facecolor="none", edgecolor="#888888", linewidth=0.4)
        axes.add_patch(frame)
        for fraction, align in ((-1, "left"), (0, "center"), (1, "right")):
            x = left + width * (fraction + 1) / 2
            axes.text(x, 0.34, pair.end(quantity, fraction), ha=align, va="top", fontsize=points(6))


def draw_pair(pair: CreditPair) -> Picture:
    """Return the heat-map of a pair at column width."""
    import matplotlib.pyplot as plt

    lines, left_out = [], []
    for trajectory in pair.trajectories:
        parts = lines_of(len(trajectory.tokens))
        if len(parts) > MOST_LINES:
            last = parts[MOST_LINES - 1].stop
            left_out.append(
                f"tokens after number {last} of the {title(trajectory).split(':')[0]} (the web page has them)"
            )
        lines += [(trajectory, part) for part in parts[:MOST_LINES]]
    height = len(QUANTITIES) * CELL
    heads = [0.08 + LETTER * max(map(len, _shown(trajectory, part))) for trajectory, part in lines]
    above = [head + (0.22 if part.start == 0 else 0.04) for head, (_, part) in zip(heads, lines, strict=True)]
    total = sum(above) + height * len(lines) + 0.5
    figure = plt.figure(figsize=inches(COLUMN, total))
    figure.set_layout_engine("none")
    top = total
    for (trajectory, part), head, room in zip(lines, heads, above, strict=True):
        top -= room
        axes = figure.add_axes((0.06, (top - height) / total, 0.93, height / total))
        _line(axes, pair, trajectory, part)
        if part.start == 0:
            figure.text(
                0.01, (top + head + 0.04) / total, title(trajectory), fontsize=points(7), weight="bold", va="bottom"
            )
        top -= height
    _scales(figure.add_axes((0.02, 0.0, 0.96, 0.45 / total)), pair)
    caption = (
        f"As Fig. 6: token credit of {pair.label} (seed {pair.seed}, step {pair.step}) on the probe prompt "
        f"“{pair.prompt}” (answer {pair.answer}). Blue: above neutral, the teacher who sees the reference finds the "
        "token more likely; orange: below. A sign marks values beyond a quarter of the scale."
    )
    return Picture(figure, caption, left_out)


def fig6(comparison: Comparison) -> Picture:
    """Fig. 6 of a set of runs.

    Raises:
        Missing: No run has a prompt with both kinds of rollout.
    """
    return draw_pair(pair_of(comparison))
