"""Table 2: suites × arms, and the paired differences against the baseline."""

from __future__ import annotations

from rlsd_cli.report.accuracy import difference, mean_interval, samples_text
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.evaluations import evaluation_notes, suites_of
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import in_order, styles
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.statistics import holm, p_text

BASELINE = "grpo"


def evaluated(comparison: Comparison) -> tuple[list[Variant], list[str], list[str]]:
    """Return the evaluated variants, the suites that all of them share, and notes.

    Raises:
        Missing: No variant is evaluated, or they share no suite.
    """
    variants = in_order(comparison.variants.values())
    have = [variant for variant in variants if suites_of(variant)]
    notes = [f"{v.label} is not evaluated: run `rlsd eval` on it." for v in variants if v not in have]
    if not have:
        raise Missing("no run is evaluated (run `rlsd eval` on them)")
    suites = sorted(set.intersection(*(set(suites_of(variant)) for variant in have)))
    if not suites:
        raise Missing("the evaluated runs share no suite")
    for variant in have:
        extra = sorted(set(suites_of(variant)) - set(suites))
        if extra:
            notes.append(f"{variant.label} is evaluated on {', '.join(extra)} too, which others lack: left out.")
    return have, suites, notes + evaluation_notes(have, suites)


def _groups(suites: list[str]) -> dict[str, list[str]]:
    groups = {suite: [suite] for suite in suites}
    if len(suites) > 1:
        groups["mean"] = suites
    return groups


def best_beyond_doubt(variants: list[Variant], suites: list[str]) -> str | None:
    """Return the label of the variant whose paired difference from every other excludes zero, if there is one."""
    means = {}
    for variant in variants:
        try:
            means[variant.label] = mean_interval(variant, suites).mean
        except Missing:
            continue
    if len(means) < 2:
        return None
    best = next(variant for variant in variants if variant.label == max(means, key=lambda label: means[label]))
    for other in variants:
        if other is best or other.label not in means:
            continue
        try:
            found = difference(best, other, suites)
        except Missing:
            return None
        if not (found.excludes_zero and found.interval.mean > 0):
            return None
    return best.label


def table2(comparison: Comparison) -> Table:
    """Table 2: accuracy on each suite and on average, best in bold only where it is beyond doubt.

    Raises:
        Missing: No run is evaluated.
    """
    variants, suites, notes = evaluated(comparison)
    names = styles(variants)
    groups = _groups(suites)
    best = {group: best_beyond_doubt(variants, members) for group, members in groups.items()}
    rows = []
    for variant in variants:
        cells = []
        for group, members in groups.items():
            try:
                interval = mean_interval(variant, members)
            except Missing:
                cells.append(Cell())
                continue
            cells.append(Cell.of(interval, bold=best[group] == variant.label, most=1.0))
        rows.append((f"{names[variant.label].name} (n={len(variant.runs)})", cells))
    caption = (
        f"As the paper's Table 2, on the held-out suites of this comparison: mean accuracy [95 % interval], "
        f"{samples_text(variants, suites)}; n training seeds. Intervals are over seeds and questions (with one seed: "
        "over questions only). Bold: the best, where its paired difference from every other arm excludes zero, "
        "over two seeds or more."
    )
    return Table("table2", caption, list(groups), rows, notes)


def differences(comparison: Comparison) -> Table:
    """Return the paired differences of Table 2 against GRPO.

    Raises:
        Missing: GRPO or everything else is not evaluated.
    """
    variants, suites, notes = evaluated(comparison)
    baseline = comparison.main(BASELINE)
    if baseline is None or baseline not in variants:
        raise Missing("there is no evaluated run of grpo to compare with")
    groups = _groups(suites)
    found = {}
    for variant in variants:
        if variant is baseline:
            continue
        for group, members in groups.items():
            try:
                found[variant.label, group] = difference(variant, baseline, members)
            except Missing as reason:
                notes.append(f"{reason}.")
    if not found:
        raise Missing("no other arm was evaluated on a seed and suite that grpo was evaluated on")
    adjusted = dict(zip(found, holm([each.p for each in found.values()]), strict=True))
    names = styles(variants)
    rows = []
    for variant in variants:
        cells = []
        for group in groups:
            each = found.get((variant.label, group))
            if each is None:
                cells.append(Cell())
                continue
            interval = each.interval
            cells.append(
                Cell(
                    text=f"({p_text(adjusted[variant.label, group])})",
                    value=interval.mean,
                    low=interval.low if interval.known else None,
                    high=interval.high if interval.known else None,
                    bold=each.excludes_zero,
                )
            )
        if any(cell.value is not None for cell in cells):
            seeds = next(each.seeds for (label, _), each in found.items() if label == variant.label)
            rows.append((f"{names[variant.label].name} − GRPO (n={len(seeds)})", cells))
    caption = (
        "Differences from GRPO in accuracy, paired by question within n matched seeds: mean [95 % interval over seeds "
        "and questions], bold where it excludes zero over two seeds or more. p: two-sided sign-flip test over "
        f"questions, Holm-adjusted over the {len(found)} comparisons of this table; it speaks of these trained models, "
        "the interval of the arms."
    )
    return Table("differences", caption, list(groups), rows, notes, corner="Difference")
