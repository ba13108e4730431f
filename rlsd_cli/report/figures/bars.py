"""Fig. 1(b): accuracy on the suites as bars, GRPO with twice the steps among them."""

from __future__ import annotations

import numpy as np

from rlsd_cli.report.accuracy import mean_interval, samples_text
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.figures.base import Picture, arms, legend, seeds_text
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, in_order, inches, styles, tint

TWICE = "grpo:steps=2x"


def bars_shown(comparison: Comparison) -> tuple[list[Variant], list[str]]:
    """Return base, OPSD, GRPO, GRPO with twice the steps and RLSD, as far as they are there, and what is not."""
    variants, missing = arms(comparison, "base", "opsd", "grpo", "rlsd")
    try:
        variants.insert(len([v for v in variants if v.method != "rlsd"]), chosen(comparison, TWICE))
    except Missing as reason:
        missing.append(str(reason))
    bare = [variant.label for variant in variants if not suites_of(variant)]
    if bare:
        missing.append(f"not evaluated (`rlsd eval`): {', '.join(bare)}")
    return [variant for variant in variants if variant.label not in bare], missing


def fig1b(comparison: Comparison) -> Picture:
    """Fig. 1(b): accuracy per suite and on average, with 95 % intervals.

    Raises:
        Missing: No run is evaluated.
    """
    import matplotlib.pyplot as plt

    evaluated, missing = bars_shown(comparison)
    if not evaluated:
        raise Missing("; ".join(missing))
    suites = [s for s in suites_of(evaluated[0]) if all(s in suites_of(other) for other in evaluated)]
    if not suites:
        raise Missing("the arms share no evaluated suite")
    looks = styles(evaluated)
    figure, axes = plt.subplots(figsize=inches(PAGE, 2.3))
    groups = [*suites, "mean"] if len(suites) > 1 else suites
    width = 0.8 / len(evaluated)
    for position, variant in enumerate(in_order(evaluated)):
        intervals = [
            mean_interval(variant, suites if group == "mean" else [group]).within(0.0, 1.0) for group in groups
        ]
        means = np.array([each.mean for each in intervals])
        ends = np.array([[each.mean - each.low, each.high - each.mean] for each in intervals]).T
        look = looks[variant.label]
        # The hatch is the arm's own and keeps the arms apart in grey; a light fill leaves the whiskers legible.
        axes.bar(
            np.arange(len(groups)) + (position - (len(evaluated) - 1) / 2) * width,
            means,
            width * 0.92,
            yerr=np.nan_to_num(ends),
            label=f"{look.name} (2× steps)" if variant.label not in ("base", variant.method) else look.name,
            color=tint(look.colour),
            hatch=look.hatch,
            edgecolor=look.colour,
            linewidth=0.8,
            error_kw={"linewidth": 1.0, "capsize": 2, "ecolor": "#000000"},
        )
    axes.set_xticks(range(len(groups)), groups)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1)
    axes.set_ylabel("Accuracy")
    axes.set_xlabel("Held-out suite")
    legend(figure, [axes])
    caption = (
        f"As Fig. 1(b): accuracy on the held-out suites, {samples_text(evaluated, suites)}. {seeds_text(evaluated)} "
        "Whiskers: 95 % intervals over seeds and questions."
    )
    return Picture(figure, caption, missing)
