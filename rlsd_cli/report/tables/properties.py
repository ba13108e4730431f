"""Table 3: stability, sustained improvement, freedom from leakage, each with the evidence behind it."""

from __future__ import annotations

from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.measures import blocks, fifths, left_out_peak
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.reported import properties
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.variants import teacher_source
from rlsd_cli.report.verdicts import UNDECIDED, judge, signed
from rlsd_cli.statistics import t_interval

GAIN = 0.02  # a gain in accuracy below two points is none
GIVEN_BACK = 0.2  # a stable objective keeps four fifths of what it gained
LEAK_FREE = 0.01  # at most one rollout in a hundred

COLUMNS = ("(a) stable objective", "(b) still gains", "(c) leakage-free", "paper says (a) (b) (c)")


def _cell(text: str, evidence: str) -> Cell:
    return Cell(text=f"{text}: {evidence}")


def objective(variant: Variant) -> Cell:
    """(a): how much of what it gained on its own objective the arm gives back by the end.

    By tenths of the training; the best tenth of each seed is chosen by the other seeds.
    """
    for key, sign, name in (("distillation/loss", -1.0, "divergence"), ("reward", 1.0, "reward")):
        try:
            _, values = blocks(variant, key)
        except Missing:
            continue
        best, _ = left_out_peak(sign * values)
        gained, lost = best - sign * values[:, 0], best - sign * values[:, -1]
        verdict = judge(t_interval(lost - GIVEN_BACK * gained), yes="no", no="yes")
        return _cell(verdict, f"{name} gained {signed(t_interval(gained))}, gave back {signed(t_interval(lost))}")
    return Cell()


def improvement(variant: Variant) -> Cell:
    """(b): accuracy of the rollouts, last fifth minus middle fifth."""
    try:
        _, values = fifths(variant, "reward")
    except Missing:
        return Cell()
    change = t_interval(values[:, -1] - values[:, 2])
    verdict = judge(change)
    if verdict == UNDECIDED and change.known and change.high <= GAIN:
        verdict = "no"
    return _cell(verdict, signed(change))


def leakage(variant: Variant) -> Cell:
    """(c): leakage in the last fifth of the training."""
    try:
        _, values = fifths(variant, "leakage/rate")
    except Missing:
        return Cell()
    rate = t_interval(values[:, -1]).within(0.0, 1.0)
    if not rate.known:
        return _cell(UNDECIDED, f"{rate.mean:.3f}")
    verdict = "yes" if rate.high <= LEAK_FREE else "no" if rate.low > LEAK_FREE else UNDECIDED
    return _cell(verdict, f"{rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]")


def _paper(variant: Variant) -> Cell:
    row = f"opsd_{teacher_source(variant)}" if variant.method == "opsd" else variant.method
    marks = properties().get(row)
    return Cell(text=" ".join(marks[key] for key in ("stability", "improvement", "leakage_free"))) if marks else Cell()


def table3(comparison: Comparison) -> Table:
    """Table 3 for every variant with rollouts.

    Raises:
        Missing: No run has any of the three pieces of evidence.
    """
    variants = [variant for variant in in_order(comparison.variants.values()) if variant.complete]
    names = styles(in_order(comparison.variants.values()))
    rows = []
    for variant in variants:
        cells = [objective(variant), improvement(variant), leakage(variant)]
        if any(cell.text for cell in cells):
            rows.append((f"{names[variant.label].name} (n={len(variant.runs)})", [*cells, _paper(variant)]))
    if not rows:
        raise Missing("no finished run logs rewards, divergences or leakage in five parts of its training")
    caption = (
        "As the paper's Table 3, each cell with its evidence [95 % Student-t interval over n seeds]. "
        "(a) the arm's own objective, divergence to the teacher or reward, by tenths of the training: gain from the "
        "first to the best (chosen by the other seeds), and what is given back from there to the last; yes if "
        f"certainly at most {GIVEN_BACK} of the gain, no if certainly more. (b) reward, last fifth minus middle fifth: "
        f"yes if above zero, no if below zero or certainly under {GAIN}. (c) leakage in the last fifth: yes if "
        f"certainly at most {LEAK_FREE}, no if certainly more. Undecided: the interval allows both, "
        "or there is one seed."
    )
    return Table("table3", caption, COLUMNS, rows)
