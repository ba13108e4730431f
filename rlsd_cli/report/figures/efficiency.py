"""Accuracy against what it costs: generated tokens, and seconds."""

from __future__ import annotations

import numpy as np

from rlsd_cli.report.comparison import Comparison
from rlsd_cli.report.cost import spent
from rlsd_cli.report.curves import curve
from rlsd_cli.report.figures.base import REWARD, Picture, draw, frame, legend, seeds_text, smoothed_text
from rlsd_cli.report.figures.training import shown
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import PAGE, inches, styles

AXES = (("tokens", "Generated tokens (thousands)", 1e-3), ("seconds", "Seconds of training", 1.0))


def efficiency(comparison: Comparison) -> Picture:
    """Draw the reward of the rollouts against the tokens generated for training, and against seconds.

    Both grow a little differently in every seed; a step stands at their mean.

    Raises:
        Missing: No variant logs the reward and either cost.
    """
    from dataclasses import replace

    import matplotlib.pyplot as plt

    variants, left_out = shown(comparison)
    looks = styles(variants)
    figure, grid = plt.subplots(1, 2, figsize=inches(PAGE, 2.6), sharey=True)
    drawn, window = set(), 1
    for axes, (unit, label, scale) in zip(grid, AXES, strict=True):
        lines = []
        for position, variant in enumerate(variants):
            try:
                line = curve(variant, REWARD.key)
                _, total = spent(variant, unit)
            except Missing as reason:
                left_out.append(str(reason))
                continue
            # A cost is logged at every step from the first, so a step's number is its column.
            places = line.steps.astype(int) - 1
            if places[-1] >= total.shape[1]:
                left_out.append(f"{variant.label} does not log {unit} at every step")
                continue
            line = replace(line, steps=np.asarray(total.mean(axis=0)[places] * scale))
            draw(axes, looks[variant.label].name, line, looks[variant.label], position)
            lines.append(line)
            drawn.add(variant.label)
            window = max(window, line.window)
        if lines:
            frame(axes, REWARD, lines)
        axes.set_xlabel(label)
    if not drawn:
        plt.close(figure)
        raise Missing("; ".join(dict.fromkeys(left_out)))
    legend(figure, list(grid))
    caption = [
        "Training reward against what it costs: tokens generated for training (not prompts, probes and teachers' "
        "passes), and seconds of whole steps. Runs of a sweep share the machine, so compare seconds of one sweep "
        "only, and roughly.",
        seeds_text([variant for variant in variants if variant.label in drawn]),
        smoothed_text(window),
    ]
    return Picture(figure, " ".join(word for word in caption if word), list(dict.fromkeys(left_out)))
