"""The figures of the theory: dynamics, and the direction of RLSD's summed gradient; drawn within `styled`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rlsd_cli.report.style import ARMS, COLUMN, logarithmic, shade
from rlsd_cli.theory.credit_checks import MIXES, DirectionStudy
from rlsd_cli.theory.estimate import FloorEstimate
from rlsd_cli.theory.outcomes import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rlsd_cli.theory.testbed import CheckpointFloor

# Colours follow the arms of every other figure; the variants differ in lightness and in the dashes.
LINES: dict[str, dict[str, Any]] = {
    "OPSD frozen": {"color": shade(ARMS["opsd"].colour, 0.62), "linestyle": "solid"},
    "OPSD synced": {"color": shade(ARMS["opsd"].colour, 1.35), "linestyle": (0, (4, 1.2))},
    "OPSD online": {"color": ARMS["opsd"].colour, "linestyle": ARMS["opsd"].line},
    "GRPO": {"color": ARMS["grpo"].colour, "linestyle": ARMS["grpo"].line},
    "RLSD": {"color": ARMS["rlsd"].colour, "linestyle": "solid"},
    "RLSD λ=1": {"color": shade(ARMS["rlsd"].colour, 1.6), "linestyle": (0, (7, 1.5, 1.5, 1.5))},
}
MIX_LINES: dict[float, dict[str, Any]] = {
    MIXES[0]: {"color": ARMS["rlsd"].colour, "linestyle": "solid"},
    MIXES[1]: {"color": shade(ARMS["rlsd"].colour, 0.5), "linestyle": (0, (5, 1.5))},
}


def dynamics_figure(study: Study) -> Figure:
    """Draw loss against floor, deviation share, accuracy, leakage and citing by step, means over questions."""
    import matplotlib.pyplot as plt

    figure, (loss, share, reward, leak, cite) = plt.subplots(5, 1, figsize=(COLUMN, 7.6), sharex=True)
    for outcome in study.outcomes:
        name, curves = outcome.rule.name, outcome.curves
        line = LINES[name]
        reward.plot(curves.stacked("accuracy").mean(1), **line, label=name)
        cite.plot(curves.stacked("citing").mean(1), **line)
        if outcome.rule.signal == "grpo":
            continue  # no teacher, and a leakage of exactly zero has no place on a logarithmic axis
        share.plot(np.arange(1, len(curves.share) + 1), curves.stacked("share").mean(1), **line)
        leak.plot(np.arange(1, len(outcome.one)), outcome.one[1:].mean(1), **line)
        if name in ("OPSD frozen", "OPSD online"):
            loss.plot(curves.stacked("loss").mean(1), **line)
            loss.plot(curves.stacked("floor").mean(1), **{**line, "linewidth": 0.7})
    loss.set(ylabel="loss (thick),\nfloor I (thin)\n[nats]", ylim=(0, None))
    share.set(ylabel="deviation\nshare ρ", ylim=(-0.03, 1.03))
    reward.set(ylabel="accuracy", ylim=(0, 1.03))
    leak.set(ylabel="leakage, one r\nper question\n[nats]", ylim=(1e-5, 2))
    logarithmic(leak.yaxis)
    leak.annotate("GRPO: exactly 0", (0.98, 0.05), xycoords="axes fraction", ha="right", fontsize=7)
    cite.set(ylabel="P(cites)", ylim=(-0.02, None), xlabel="gradient step")
    figure.align_ylabels()
    figure.legend(*reward.get_legend_handles_labels(), loc="outside upper center", ncols=2, columnspacing=1.0)
    return figure


def direction_figure(study: DirectionStudy) -> Figure:
    """Draw the cosine's distribution on sampled groups (top) and against the length of completions (bottom)."""
    import matplotlib.pyplot as plt

    figure, (top, bottom) = plt.subplots(2, 1, figsize=(COLUMN, 4.6))
    for mix, line in MIX_LINES.items():
        for values, width, label in (
            (study.sampled[mix], 1.6, "random"),
            (study.searched[mix], 0.8, "worst"),
        ):
            ordered = np.sort(values)
            heights = np.arange(1, len(ordered) + 1) / len(ordered)
            marker = {"marker": "v", "markevery": 0.2} if width < 1 else {}
            top.plot(ordered, heights, **line, **marker, linewidth=width, label=f"λ={mix:g}, {label}")
        low, middle, high = study.random[mix].T
        bottom.fill_between(study.lengths, low, high, color=line["color"], alpha=0.2, linewidth=0)
        bottom.plot(study.lengths, middle, **line, linewidth=1.6)
        bottom.plot(study.lengths, study.worst[mix], **line, linewidth=0.8, marker="v")
    top.set(xlabel="cos(RLSD, GRPO), one group of 8 rollouts", ylabel="share of groups below", xlim=(None, 1.002))
    bottom.axhline(0, color="#666666", linewidth=0.6)
    bottom.set(xlabel="completion length T [tokens]", ylabel="cos(RLSD, GRPO),\nexpected gradients")
    logarithmic(bottom.xaxis)
    bottom.set_ylim(-1.08, 1.08)
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=2, columnspacing=0.8)
    return figure


def floor_figure(floors: list[CheckpointFloor], own_kind: str, logged: dict[int, float]) -> Figure:
    """Draw the OPSD loss of a run and the floor under it at each checkpoint, 95 % intervals over questions.

    Args:
        floors: One estimate per checkpoint, oldest first.
        own_kind: The kind of reference that the run trained with: its loss alone is drawn as well, because no
            floor holds for a single kind.
        logged: Training step → KL(teacher ‖ student) that training logged under that kind; may be empty.
    """
    import matplotlib.pyplot as plt

    steps = [row.step for row in floors]

    def ends(values: list[Any]) -> tuple[list[float], list[float], list[float]]:
        return [v.mean for v in values], [v.low for v in values], [v.high for v in values]

    found: list[FloorEstimate] = [row.estimate for row in floors]
    series: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("OPSD loss under P(r|x)", [e.loss for e in found], {"color": ARMS["opsd"].colour, "marker": "^"}),
        (
            "floor I(Y; R | X, past)",
            [e.floor for e in found],
            {"color": "#000000", "linestyle": (0, (5, 1.5)), "marker": "s"},
        ),
    ]
    if own_kind in found[0].by_reference:
        alone = [e.by_reference[own_kind] for e in found]
        thin = {"color": "#777777", "linestyle": (0, (1.2, 0.9)), "linewidth": 0.9, "marker": "o", "markersize": 2.5}
        series.append((f"loss with r = {own_kind} alone", alone, thin))
    figure, axes = plt.subplots(figsize=(COLUMN, 2.6))
    for label, values, line in series:
        mean, low, high = ends(values)
        axes.fill_between(steps, low, high, color=line["color"], alpha=0.2, linewidth=0)
        axes.plot(steps, mean, **line, label=label)
    if logged:
        label = "the same, logged in training"
        axes.plot(list(logged), list(logged.values()), color="#AAAAAA", linewidth=0.5, zorder=1, label=label)
    axes.set(xlabel="training step", ylabel="nats per token")
    logarithmic(axes.yaxis)
    figure.legend(loc="outside upper center", ncols=1)
    return figure
