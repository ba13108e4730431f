"""Curves over training steps as SVG: the rate with its Wilson band, and exposure with its interval; axes named."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 44
TICKS = 4
TOPS = (0.01, 0.02, 0.04, 0.08, 0.2, 0.4, 0.8, 1.0)  # ends of the axis whose quarters are round


def rate_chart(rows: list[dict[str, Any]]) -> str:
    """Return the chart of rows with step, rate, low and high (two or more, in order of the steps)."""
    first, last = rows[0]["step"], rows[-1]["step"]
    highest = max(row["high"] for row in rows)
    top = next(top for top in TOPS if top >= min(highest, 1.0))

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - first) / (last - first)

    def y(rate: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(rate, top) / top)

    def points(key: str, order: list[dict[str, Any]]) -> str:
        return " ".join(f"{x(row['step']):.1f},{y(row[key]):.1f}" for row in order)

    grid = "".join(
        f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y(rate):.1f}' y2='{y(rate):.1f}' stroke='#ddd'/>"
        f"<text x='{LEFT - 6}' y='{y(rate) + 4:.1f}' text-anchor='end'>{100 * rate:.3g}</text>"
        for rate in (top * tick / TICKS for tick in range(TICKS + 1))
    )
    ticks = sorted({round(first + (last - first) * tick / TICKS) for tick in range(TICKS + 1)})
    labels = "".join(
        f"<text x='{x(step):.1f}' y='{HEIGHT - BOTTOM + 16}' text-anchor='middle'>{step}</text>" for step in ticks
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    centre, name = (LEFT + WIDTH - RIGHT) / 2, "completions with a mention, %"
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' role='img' font-size='12' font-family='sans-serif' "
        f"aria-label='Completions with a mention over training steps'>{grid}{labels}"
        f"<polygon points='{points('low', rows)} {points('high', rows[::-1])}' fill='#0072b2' fill-opacity='.18'/>"
        f"<polyline points='{points('rate', rows)}' fill='none' stroke='#0072b2' stroke-width='2'/>"
        f"<text x='{centre}' y='{HEIGHT - 8}' text-anchor='middle'>training step</text>"
        f"<text transform='translate(16 {middle}) rotate(-90)' text-anchor='middle'>{name}</text>"
        "</svg><p class='cut'>Band: 95 % Wilson interval of each step.</p>"
    )


def exposure_chart(rows: list[dict[str, Any]]) -> str:
    """Return a standalone chart of excess exposure over steps: step, excess, low and high, in order; 0 is marked."""
    first, last = rows[0]["step"], max(rows[-1]["step"], rows[0]["step"] + 1)
    bottom, top = min(0.0, *(row["low"] for row in rows)), max(0.0, *(row["high"] for row in rows))
    spread = (top - bottom) or 1.0
    bottom, top = bottom - 0.05 * spread, top + 0.05 * spread

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - first) / (last - first)

    def y(bits: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (bits - bottom) / (top - bottom))

    def points(key: str, order: list[dict[str, Any]]) -> str:
        return " ".join(f"{x(row['step']):.1f},{y(row[key]):.1f}" for row in order)

    ticks = sorted({round(bottom + (top - bottom) * tick / TICKS, 2) for tick in range(TICKS + 1)} | {0.0})
    grid = "".join(
        f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y(bits):.1f}' y2='{y(bits):.1f}' "
        f"stroke='{'#555' if bits == 0 else '#ddd'}'/>"
        f"<text x='{LEFT - 6}' y='{y(bits) + 4:.1f}' text-anchor='end'>{bits:.2f}</text>"
        for bits in ticks
    )
    labels = "".join(
        f"<text x='{x(row['step']):.1f}' y='{HEIGHT - BOTTOM + 16}' text-anchor='middle'>{row['step']}</text>"
        for row in rows
    )
    middle, centre = (TOP + HEIGHT - BOTTOM) / 2, (LEFT + WIDTH - RIGHT) / 2
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' font-size='12' "
        f"font-family='sans-serif'><rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>{grid}{labels}"
        f"<polygon points='{points('low', rows)} {points('high', rows[::-1])}' fill='#0072b2' fill-opacity='.18'/>"
        f"<polyline points='{points('excess', rows)}' fill='none' stroke='#0072b2' stroke-width='2'/>"
        f"<text x='{centre}' y='{HEIGHT - 8}' text-anchor='middle'>training step</text>"
        f"<text transform='translate(16 {middle}) rotate(-90)' text-anchor='middle'>excess exposure, bits</text>"
        "</svg>\n"
    )
