"""Fig. 4: an arm's passes as a diagram, drawn from its record and the run's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.figures.base import Picture
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, inches, points, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = PAGE, 2.6
BASE = 0.35  # inches below the teacher's row
GREY = "#555555"


def fig4(comparison: Comparison) -> Picture:
    """Draw RLSD's passes, or those of the first arm with a teacher.

    Raises:
        Missing: No arm of the runs has a teacher and a record.
    """
    main = comparison.main("rlsd")
    with_teacher = [v for v in comparison.arms if v.arm.arm is not None and v.arm.arm.needs_teacher]
    variant = main if main is not None else next(iter(with_teacher), None)
    if variant is None or variant.arm.arm is None:
        raise Missing("no arm of these runs has a teacher")
    return diagram(variant)


def diagram(variant: Variant) -> Picture:
    """Return the diagram of an arm of the package."""
    import matplotlib.pyplot as plt

    card, arm = variant.arm, variant.arm.arm
    if arm is None:
        raise Missing(f"the record of {variant.label} is not one of the package")
    own = variant.runs[0].config.get("teacher")
    settings: dict[str, Any] = own if isinstance(own, dict) else {}
    teacher, reference = card.teacher_and_reference(settings)
    colour = style_of(card).colour
    figure = plt.figure(figsize=inches(WIDTH, HEIGHT))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(-BASE, HEIGHT - BASE)
    axes.set_axis_off()
    distils = arm.divergence is not None
    box(axes, 0.05, 1.25, 0.85, "question x")
    box(axes, 1.3, 1.25, 1.25, "student\nπ(y | x)", colour)
    box(axes, 2.95, 1.25, 1.0, "rollouts y" if arm.data == "on-policy" else "solutions y*")
    arrow(axes, (0.9, 1.47), (1.3, 1.47))
    arrow(axes, (2.55, 1.47), (2.95, 1.47))
    if arm.direction != "teacher":
        box(axes, 4.35, 1.65, 1.05, "verifier\nA = (R − μ)/σ")
        arrow(axes, (3.95, 1.55), (4.35, 1.87))
        arrow(axes, (5.4, 1.87), (5.75, 1.55), "direction")
    if arm.needs_teacher:
        what = "log-probs of y" if not distils else "next-token\ndistributions"
        view = _view(teacher, reference)
        box(axes, 1.3, 0.25, 1.25, f"teacher ({teacher})\n{view}", colour, dashed=True)
        box(axes, 0.05, 0.25, 0.85, _told(reference))
        arrow(axes, (0.9, 0.47), (1.3, 0.47))
        arrow(axes, (3.2, 1.25), (2.4, 0.69), dashed=True)
        box(axes, 4.35, 0.25, 1.05, "Δ, w per token" if not distils else "divergence\nper token")
        arrow(axes, (2.55, 0.47), (4.35, 0.47), what, dashed=True)
        arrow(axes, (5.4, 0.47), (5.75, 1.2), "magnitude" if arm.direction == "environment" else "direction")
        axes.text(1.92, 0.12, "no gradient", ha="center", va="center", fontsize=points(5.5), color=GREY, style="italic")
    box(axes, 5.75, 1.15, 1.05, "update\nof the student", colour)
    top = HEIGHT - BASE - 0.08
    axes.plot([6.27, 6.27, 1.92], [1.59, top, top], color=GREY, lw=0.8, solid_joinstyle="miter")
    arrow(axes, (1.92, top), (1.92, 1.69))
    axes.text(WIDTH / 2, -BASE + 0.06, arm.summary, ha="center", va="bottom", fontsize=points(6.5))
    caption = (
        f"As Fig. 4: the passes of {card.title}, from its record. Solid: with gradient or data; dashed: the teacher's "
        f"pass, without. Teacher: {teacher}; it sees: {_told(reference).replace(chr(10), ' ')}."
    )
    return Picture(figure, caption)


def _told(reference: str) -> str:
    return {"–": "no reference", "answer": "answer r", "solution": "solution r"}.get(reference, reference).replace(
        ", ", "\nand "
    )


def _view(teacher: str, reference: str) -> str:
    return "π(y | x)" if reference == "–" else "π(y | x, r)"


def box(axes: Axes, x: float, y: float, width: float, text: str, colour: str = GREY, dashed: bool = False) -> None:
    """Draw a rounded box of half an inch with a text."""
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x + 0.03, y + 0.03),
            width - 0.06,
            0.38,
            boxstyle="round,pad=0.03",
            facecolor="#FFFFFF",
            edgecolor=colour,
            linewidth=1.0,
            linestyle=(0, (3, 2)) if dashed else "solid",
        )
    )
    axes.text(x + width / 2, y + 0.22, text, ha="center", va="center", fontsize=points(6.5))


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", dashed: bool = False
) -> None:
    """Draw an arrow with a word beside its middle."""
    style = {"arrowstyle": "-|>", "color": GREY, "lw": 0.8, "linestyle": (0, (3, 2)) if dashed else "solid"}
    axes.annotate("", end, start, arrowprops=style)
    if text:
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        steep = end[0] - start[0] < 0.6
        across, up = ("left", "center") if steep else ("center", "bottom")
        axes.text(x + 0.08 * steep, y + 0.05, text, ha=across, va=up, fontsize=points(6), color=GREY)
