"""Fig. 1(b): accuracy on the suites as bars."""

from __future__ import annotations

from rlsd_cli.report.accuracy import mean_interval
from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.evaluations import suites_of
from rlsd_cli.report.figures.base import Picture, arms, legend, seeds_text
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, in_order, inches, styles, tint


def fig1b(comparison: Comparison) -> Picture:
    """Fig. 1(b): accuracy per suite and on average, base, OPSD, GRPO, RLSD, with 95 % intervals.

    Raises:
        Missing: No run is evaluated.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    variants, missing = arms(comparison, "base", "opsd", "grpo", "rlsd")
    evaluated = [variant for variant in variants if suites_of(variant)]
    bare = [variant.label for variant in variants if variant not in evaluated]
    if bare:
        missing.append(f"not evaluated (`rlsd eval`): {', '.join(bare)}")
    if not evaluated:
        raise Missing("; ".join(missing))
    suites = [s for s in suites_of(evaluated[0]) if all(s in suites_of(other) for other in evaluated)]
    if not suites:
        raise Missing("the arms share no evaluated suite")
    looks = styles(variants)
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
        # The hatch keeps the arms apart in grey; a light fill leaves the whiskers legible.
        axes.bar(
            np.arange(len(groups)) + (position - (len(evaluated) - 1) / 2) * width,
            means,
            width * 0.92,
            yerr=np.nan_to_num(ends),
            label=look.name,
            color=tint(look.colour),
            hatch=("", "////", "....", "xxxx")[position],
            edgecolor=look.colour,
            linewidth=0.8,
            error_kw={"linewidth": 1.0, "capsize": 2, "ecolor": "#000000"},
        )
    axes.set_xticks(range(len(groups)), groups)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("Accuracy (avg@k)")
    axes.set_xlabel("Held-out suite")
    legend(figure, [axes])
    caption = (
        f"As Fig. 1(b): accuracy on the held-out suites. {seeds_text(evaluated)} "
        "Whiskers: 95 % intervals over seeds and questions."
    )
    return Picture(figure, caption, missing)
