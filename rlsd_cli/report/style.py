"""How every figure looks: colours, lines and markers fixed per arm, sizes of print, files equal byte by byte."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rlsd_cli.report.cards import BASE_CARD, Card, built_in_cards
from rlsd_cli.report.comparison import Variant
from rlsd_cli.runs.directory import write_bytes

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

StyleName = Literal["paper", "slides"]
FORMATS = ("pdf", "png", "svg")
COLUMN = 3.3  # inches: one column of a two-column paper
PAGE = 6.9  # inches: both columns
PRINT = 8  # points

Dashes = str | tuple[int, tuple[float, ...]]


# Told apart in grey; an arm keeps its own wherever it stands.
HATCHES = ("", "....", "////", r"\\\\", "xxxx", "----", "++++", "oo", "||||", "**", "//..", r"\\..", "xx..", "--..")


@dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn: colour, line, marker and hatch each tell the arms apart by themselves."""

    name: str
    colour: str
    line: Dashes
    marker: str
    hatch: str = ""


def _hatch(method: str) -> str:
    """Return an arm's hatch for filled areas, by its place among the arms; arms of one's own share one."""
    names = [BASE_CARD.name, *(card.name for card in built_in_cards())]
    return HATCHES[names.index(method) % len(HATCHES)] if method in names else "||.."


def style_of(card: Card) -> ArmStyle:
    """Return an arm's look as matplotlib wants it."""
    line: Dashes = (0, card.look.line) if card.look.line else "solid"
    return ArmStyle(card.title, card.look.colour, line, card.look.marker, _hatch(card.name))


# Colours of Okabe and Ito (2008), which colour-blind readers can tell apart, stand in the arms' records.
ARMS: dict[str, ArmStyle] = {card.name: style_of(card) for card in (BASE_CARD, *built_in_cards())}
# Variants of one arm keep its colour, darker or lighter, and get a line and marker of their own.
SHADES: tuple[tuple[float, Dashes, str], ...] = (
    (0.62, "solid", "<"),
    (1.35, (0, (4, 1.2)), ">"),
    (0.42, (0, (7, 1.5, 1.5, 1.5)), "h"),
    (1.6, (0, (2, 1)), "p"),
    (0.8, (0, (9, 3)), "d"),
)
ORDER = tuple(ARMS)


def shade(colour: str, factor: float) -> str:
    """Return a colour with its lightness multiplied by ``factor``, at most 0.8; black gives greys."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    scaled = light * factor if light > 0.05 else 0.15 + 0.4 * factor
    mixed = colorsys.hls_to_rgb(hue, min(scaled, 0.8), saturation)
    return "#" + "".join(f"{round(255 * part):02X}" for part in mixed)


def tint(colour: str) -> str:
    """Return a colour three quarters of the way to white, for filled areas behind whiskers."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{(part + 3 * 255) // 4:02X}" for part in parts)


def in_order(variants: Iterable[Variant]) -> list[Variant]:
    """Return variants in the fixed order of the arms, the one labelled like its arm first."""

    def place(variant: Variant) -> tuple[int, str, bool, str]:
        known = ORDER.index(variant.method) if variant.method in ORDER else len(ORDER)
        return known, variant.method, variant.label != variant.method, variant.label

    return sorted(variants, key=place)


def styles(variants: Iterable[Variant]) -> dict[str, ArmStyle]:
    """Return the style of each variant by label: the arm's own for the first of an arm, shades for the others."""
    result: dict[str, ArmStyle] = {}
    count: dict[str, int] = {}
    for variant in in_order(variants):
        base = style_of(variant.arm)
        nth = count.get(variant.method, 0)
        count[variant.method] = nth + 1
        name = base.name if variant.label == variant.method else variant.label
        if nth == 0:
            result[variant.label] = replace(base, name=name)
        else:
            factor, line, marker = SHADES[(nth - 1) % len(SHADES)]
            result[variant.label] = ArmStyle(name, shade(base.colour, factor), line, marker, f"{base.hatch}{nth * '-'}")
    return result


def parameters(style: StyleName) -> dict[str, Any]:
    """Return matplotlib's rcParams: 8 points at column width for print, all of it 1.75 times as large for slides."""
    size, line = (PRINT, 1.3) if style == "paper" else (14, 2.3)
    return {
        "font.family": "DejaVu Sans",
        "font.size": size,
        "axes.titlesize": size,
        "axes.labelsize": size,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "legend.fontsize": size - 1,
        "legend.frameon": False,
        "legend.handlelength": 2.6,
        "lines.linewidth": line,
        "lines.markersize": 3.5 if style == "paper" else 6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.grid": True,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.5,
        "axes.axisbelow": True,
        "figure.constrained_layout.use": True,
        "figure.dpi": 100,
        "savefig.dpi": 300 if style == "paper" else 200,
        # Type 42 keeps text as text in PDFs; publishers refuse type 3.
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.fonttype": "none",
        # Without a salt the ids in an SVG are random.
        "svg.hashsalt": "rlsd",
        "axes.unicode_minus": True,
        "text.parse_math": False,
    }


def logarithmic(axis: Axis) -> None:
    """Make an axis logarithmic with plain numbers: letters are never read as formulas here, nor are powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    scale = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    scale("log")
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def inches(*print_inches: float) -> tuple[float, ...]:
    """Return lengths given for print in the style in force: they grow with its letters."""
    import matplotlib as mpl

    return tuple(length * mpl.rcParams["font.size"] / PRINT for length in print_inches)


def points(print_points: float) -> float:
    """Return a letter size given for print in the style in force."""
    return inches(print_points)[0]


@contextmanager
def styled(style: StyleName) -> Iterator[None]:
    """Draw within the style, whatever the user's matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.use("agg")
        for name, value in parameters(style).items():
            mpl.rcParams[name] = value  # type: ignore[index]
        yield


def save(figure: Figure, path: Path, formats: Iterable[str]) -> list[Path]:
    """Write ``path`` (without suffix) in each format, atomically; two writes of one figure are equal byte by byte."""
    import io

    import matplotlib.pyplot as plt

    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
    }
    written = []
    for suffix in formats:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata[suffix])
        target = path.with_name(f"{path.name}.{suffix}")
        write_bytes(target, buffer.getvalue())
        written.append(target)
    plt.close(figure)
    return written
