"""The colour scale of the credit heat-map: orange below neutral, white, blue above."""

from __future__ import annotations

import math

BELOW = (0xD5, 0x5E, 0x00)  # Okabe and Ito's vermillion and blue: told apart by colour-blind readers
ABOVE = (0x00, 0x72, 0xB2)
WHITE = (0xFF, 0xFF, 0xFF)
MARKED = 0.25  # of the scale: from here on a sign is printed, so that grey prints show the direction


def colour(fraction: float) -> tuple[int, int, int]:
    """Return the colour of a value at ``fraction`` of the scale, −1 (orange) to 1 (blue); NaN is white."""
    if math.isnan(fraction):
        return WHITE
    strength = min(abs(fraction), 1.0)
    end = ABOVE if fraction > 0 else BELOW
    red, green, blue = (round(w + (e - w) * strength) for w, e in zip(WHITE, end, strict=True))
    return red, green, blue


def hex_colour(fraction: float) -> str:
    """Return `colour` as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour(fraction))


def ink(fraction: float) -> str:
    """Return black or white, whichever reads better on the colour."""
    red, green, blue = colour(fraction)
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def sign(fraction: float) -> str:
    """Return '+' or '−' where the value is at least a quarter of the scale, otherwise ''."""
    if not abs(fraction) >= MARKED:
        return ""
    return "+" if fraction > 0 else "−"
