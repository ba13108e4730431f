"""The paper's figures 1, 3 and 5 from our own runs (arXiv 2604.03128; its numbering)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.curves import curve, seed_matrix
from rlsd_cli.report.figures.base import (
    ACCURACY,
    CLIP,
    DIVERGENCE,
    ENTROPY,
    LEAKAGE,
    REWARD,
    TEACHER,
    Panel,
    Picture,
    arms,
    band_text,
    draw,
    frame,
    legend,
    seeds_text,
    smoothed_text,
)
from rlsd_cli.report.figures.single import single
from rlsd_cli.report.gates import open_book_cites
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import ARMS, COLUMN, ArmStyle, Dashes, inches, points, shade, styles
from rlsd_cli.report.variants import opsd_supports

# Their training questions are drawn fresh at each step and never seen again, so rewards are accuracy on unseen ones.
FRESH_TASKS = ("arithmetic",)
FRESH = Panel(
    "reward",
    "Accuracy",
    "share of rollouts",
    share=True,
    whole=True,
    words="accuracy of the rollouts, on questions never seen before,",
)


def validation(variants: Iterable[Variant]) -> Panel:
    """Return what stands for the paper's validation accuracy.

    Where no question is asked twice, the reward of each step is the finer measure (128 rollouts a step against a
    probe every 20 steps); elsewhere it is the accuracy on the probe prompts.
    """
    return FRESH if all(v.option("task.name") in FRESH_TASKS for v in variants) else ACCURACY


def _curves(panel: Panel, comparison: Comparison, caption: str, *methods: str) -> Picture:
    variants, missing = arms(comparison, *methods)
    rlsd = [variant.label for variant in variants if variant.method == "rlsd"]
    picture = single(panel, variants, caption, against=rlsd)
    picture.left_out += missing
    return picture


def fig1a(comparison: Comparison) -> Picture:
    """Fig. 1(a): held-out accuracy over steps, GRPO, OPSD, RLSD.

    Raises:
        Missing: None of the three arms has probe steps or rewards.
    """
    panel = validation(comparison.of_method("grpo", "opsd", "rlsd"))
    return _curves(panel, comparison, f"As Fig. 1(a): {panel.said} over steps.", "grpo", "opsd", "rlsd")


SUPPORT_NAMES = {"full": "full", "teacher-top-1": "teacher's top-1", "student-top-1": "student's top-1"}


def _supports(panel: Panel, comparison: Comparison, caption: str, frozen: bool = False) -> Picture:
    found = opsd_supports(comparison)
    if len(found) < 2:
        raise Missing(
            "there is no run of opsd" if not found else f"of the supports of opsd only {', '.join(found)} was run"
        )
    related = dict(found)
    with contextlib.suppress(Missing):
        related["frozen teacher"] = chosen(comparison, "opsd:source=frozen")
    looks = styles(related.values())  # of all of Fig. 3, so that a variant looks alike in each of its panels
    for name, variant in related.items():
        looks[variant.label] = replace(looks[variant.label], name=SUPPORT_NAMES.get(name, name))
    found = related if frozen else found
    picture = single(panel, found.values(), caption, looks)
    picture.left_out += [f"there is no run of opsd with {name}" for name in SUPPORT_NAMES if name not in found]
    return picture


def fig3a(comparison: Comparison) -> Picture:
    """Fig. 3(a): leakage over steps, OPSD with full support, teacher's top-1 and student's top-1.

    Raises:
        Missing: There is no OPSD run, or none counts leakage.
    """
    picture = _supports(LEAKAGE, comparison, "As Fig. 3(a): leakage of the OPSD variants.", frozen=True)
    cites = open_book_cites(comparison)
    axes = picture.figure.axes[0]
    if cites is None:
        picture.left_out.append("what the open book itself cites (`rlsd testbed gates`, `rlsd probe`)")
    else:
        axes.axhline(cites, color="#666666", linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        picture.caption += f" Dashed: what the open-book base itself cites, {cites:.2f}"
        picture.caption += "; a top-1 target can't carry a habit of less than one half." if cites < 0.5 else "."
    return picture


def fig3b(comparison: Comparison) -> Picture:
    """Fig. 3(b): held-out accuracy of the same three.

    Raises:
        Missing: There is no OPSD run, or none has probe steps.
    """
    return _supports(
        validation(comparison.of_method("opsd")), comparison, "As Fig. 3(b): accuracy of the OPSD variants."
    )


def fig3c(comparison: Comparison) -> Picture:
    """Fig. 3(c): KL between student and teacher, OPD and OPSD; dashed: OPSD at its first step.

    Raises:
        Missing: There is neither an OPD nor an OPSD run with a teacher's KL.
    """
    variants, _ = arms(comparison, "opd", "opsd")
    # One quantity for both: the KL if both log it, otherwise the divergence that each minimises.
    both = all(any(len(run.series(TEACHER.key)[0]) for run in variant.runs) for variant in variants)
    panel = TEACHER if both else DIVERGENCE
    picture = _curves(panel, comparison, f"As Fig. 3(c): {panel.title} on the student's own rollouts.", "opd", "opsd")
    kinds = {v.label: [v.option(f"objective.{key}") for key in ("support", "beta")] for v in variants}
    if panel is DIVERGENCE and len({str(kind) for kind in kinds.values()}) > 1:
        told = ", ".join(f"{label} support {kind[0]}, beta {kind[1]}" for label, kind in kinds.items())
        picture.left_out.append(f"each arm's own divergence ({told}): compare their courses, not their levels")
    opsd = comparison.main("opsd")
    if opsd is not None:
        try:
            start = float(curve(opsd, panel.key, smooth=False).mean[0])
        except Missing:
            return picture
        picture.figure.axes[0].axhline(start, color="#666666", linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        picture.caption += " Dashed line: OPSD at its first step."
    return picture


def fig5a(comparison: Comparison) -> Picture:
    """Fig. 5(a): training reward, GRPO and RLSD.

    Raises:
        Missing: Neither arm has a run.
    """
    return _curves(REWARD, comparison, "As Fig. 5(a): training reward.", "grpo", "rlsd")


def fig5b(comparison: Comparison) -> Picture:
    """Fig. 5(b): entropy, GRPO and RLSD.

    Raises:
        Missing: Neither arm has a run.
    """
    return _curves(ENTROPY, comparison, "As Fig. 5(b): entropy of the student.", "grpo", "rlsd")


PARTS: tuple[tuple[str, str, float, Dashes, str], ...] = (
    (CLIP.key, "both", 1.0, "solid", "o"),
    ("rlsd/weight_clip_low", "at 1 − ε", 0.55, (0, (1.2, 0.9)), "v"),
    ("rlsd/weight_clip_high", "at 1 + ε", 1.5, (0, (5, 1.5)), "^"),
)  # of one arm, so shades of one colour


def fig5c(comparison: Comparison) -> Picture:
    """Fig. 5(c): share of tokens whose evidence weight is clipped, below, above and in all.

    Raises:
        Missing: There is no RLSD run.
    """
    import matplotlib.pyplot as plt

    (variant,), _ = arms(comparison, "rlsd")
    figure, axes = plt.subplots(figsize=inches(COLUMN, 2.4))
    lines = []
    for position, (key, name, factor, dashes, marker) in enumerate(PARTS):
        try:
            line = curve(variant, key)
        except Missing:
            plt.close(figure)
            raise
        colour = ARMS["rlsd"].colour if factor == 1.0 else shade(ARMS["rlsd"].colour, factor)
        draw(axes, name, line, ArmStyle(name, colour, dashes, marker), position)
        lines.append(line)
    if len(lines[0].steps) < 2:
        plt.close(figure)
        raise Missing(f"{variant.label} logs clipped weights at one step only")
    frame(axes, CLIP, lines)
    end = step_without_mix(variant)
    words = [
        "As Fig. 5(c): share of tokens of RLSD whose evidence weight is clipped.",
        seeds_text([variant]),
        band_text([variant]),
        smoothed_text(lines[0].window),
    ]
    if end is not None:
        axes.axvline(end, color="#666666", linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            "λ = 0",
            (end, 0.97),
            xycoords=("data", "axes fraction"),
            ha="left",
            va="top",
            xytext=(2, 0),
            textcoords="offset points",
            fontsize=points(7),
            color="#444444",
        )
        words.append(f"From step {end} on λ is 0: the weights are still measured and no longer used.")
    legend(figure, [axes])
    return Picture(figure, " ".join(word for word in words if word))


def step_without_mix(variant: Variant) -> int | None:
    """Return the first step at which λ is 0 in every seed; None where it never is, or is from the start."""
    try:
        steps, values, _ = seed_matrix(variant, "rlsd/lambda")
    except Missing:
        return None
    ended = np.flatnonzero((values == 0).all(axis=0))
    return int(steps[ended[0]]) if len(ended) and ended[0] > 0 else None
