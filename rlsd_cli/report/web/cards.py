"""A card per claim: its verdict, the numbers with margin, placebos and controls, and the curve that they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rlsd_cli.report.claims import Claim, Finding, NotTestable, Page, Part
from rlsd_cli.report.claims.rules import RULES
from rlsd_cli.report.claims.select import chosen
from rlsd_cli.report.comparison import Comparison, Variant
from rlsd_cli.report.figures.base import CLIP, DIVERGENCE, ENTROPY, LEAKAGE, LENGTH, REWARD, TEACHER, Panel
from rlsd_cli.report.missing import Missing
from rlsd_cli.report.style import ArmStyle
from rlsd_cli.report.variants import opsd_supports
from rlsd_cli.report.verdicts import p_text
from rlsd_cli.report.web.charts import Chart, curves, intervals, line_of
from rlsd_cli.report.web.series import Series

# What a measure looks at over the steps; the first that the arms log. Measures that are not here look at the reward.
LOOKS_AT: Mapping[str, tuple[Panel, ...]] = {
    "leakage_comes": (LEAKAGE,),
    "leakage_rises": (LEAKAGE,),
    "leakage_order": (LEAKAGE,),
    "leakage_at_end": (LEAKAGE,),
    "leaking_falls": (LEAKAGE,),
    "lowest_kl": (TEACHER, DIVERGENCE),
    "final_kl": (TEACHER, DIVERGENCE),
    "entropy_above": (ENTROPY,),
    "length_kept": (LENGTH,),
    "clip_ratio": (CLIP,),
    "blame_at_error": (),
}
TWO_SIDED = ("contrast", "within")  # rules by which a number may be within ± the margin
PLACEBOS = ("wrong_reference", "other_reference", "permuted", "noise", "sign_mean", "surprisal")
HAS_PLACEBOS = "rlsd"
SAME_UNIT = ("ends_above", "entropy_above")  # measures whose margin can stand in the curve of the difference


@dataclass(frozen=True)
class VerdictCard:
    """What a card shows; ``numbers`` and ``curve`` are None where there is nothing to draw, and the notes say why."""

    claim: Claim
    finding: Finding
    p: str
    numbers: Chart | None
    curve: Chart | None
    placebo: str
    curve_note: str


def cards(comparison: Comparison, page: Page, looks: Mapping[str, ArmStyle], series: Series) -> list[VerdictCard]:
    """Return a card for each claim, and each control that was run; their curves are added to the series."""
    findings = {claim.key: (claim, finding) for claim, finding in (*page.claims, *page.controls)}
    return [
        _card(comparison, claim, finding, findings, looks, series)
        for claim, finding in (*page.claims, *(each for each in page.controls if each[1].parts))
    ]


def _card(
    comparison: Comparison,
    claim: Claim,
    finding: Finding,
    findings: Mapping[str, tuple[Claim, Finding]],
    looks: Mapping[str, ArmStyle],
    series: Series,
) -> VerdictCard:
    placebos, placebo_note = _placebos(comparison, claim)
    rows = [_row(part, "claim", claim) for part in finding.parts if part.estimate.seeds]
    rows += [_row(part, "placebo", claim) for part in placebos]
    for key in claim.controls:
        other, found = findings.get(key, (claim, None))
        if found is not None and RULES[other.rule] is RULES[claim.rule]:  # of one kind, so they share an axis
            rows += [
                _row(replace(part, name=f"control: {_name(part, other)}"), "control", other) for part in found.parts
            ]
    words = "; ".join(f"{row['name']} {row['value']:+.4f}" for row in rows)
    numbers = intervals(rows, "95 % interval over seeds; dashed: margin", f"{claim.statement}: {words}")
    curve, curve_note = _curve(comparison, claim, finding, looks, series)
    told = p_text(finding.p) if finding.p is not None else ""
    return VerdictCard(claim, finding, told, numbers if rows else None, curve, placebo_note, curve_note)


def _row(part: Part, kind: str, claim: Claim) -> dict[str, object]:
    interval = part.estimate.interval()
    sides = (-part.margin, part.margin) if claim.rule in TWO_SIDED else (part.margin,)
    ends = (interval.low, interval.high) if interval.known else (None, None)
    return {
        "name": _name(part, claim),
        "kind": kind,
        "value": interval.mean,
        "low": ends[0],
        "high": ends[1],
        "margins": [side for side in sides if claim.rule != "signs"],
    }


def _name(part: Part, claim: Claim) -> str:
    """Return what a number is of; claims about who ends above whom name only the second of two arms."""
    name = part.name
    if claim.measure.__name__ == "ends_above" and name in claim.arms:
        name = f"{claim.arms[0]} − {name}"
    return name.replace(":evidence=", " with ").replace(":", " with ")


def _placebos(comparison: Comparison, claim: Claim) -> tuple[list[Part], str]:
    """Measure a claim about RLSD with each placebo for its evidence; say which were not run, or that there is none."""
    if not claim.arms or claim.arms[0] != HAS_PLACEBOS:
        if any("evidence=" in arm for arm in claim.arms):
            return [], ""
        return [], "no placebo belongs to this claim"
    if any("evidence=" in arm for arm in claim.arms):  # the placebos are what it is about
        return [], ""
    parts, lacking = [], []
    for name in PLACEBOS:
        arms = (f"{HAS_PLACEBOS}:evidence={name}", *claim.arms[1:])
        try:
            found = claim.measure(comparison, replace(claim, arms=arms))
        except (Missing, NotTestable):
            lacking.append(name)
            continue
        parts += [replace(part, name=f"placebo {name}") for part in found.parts]
    words = f"{', '.join(lacking)} not run" if parts and lacking else "none was run" if lacking else ""
    return parts, words


def _curve(
    comparison: Comparison, claim: Claim, finding: Finding, looks: Mapping[str, ArmStyle], series: Series
) -> tuple[Chart | None, str]:
    panels = LOOKS_AT.get(getattr(claim.measure, "__name__", ""), (REWARD,))
    if not panels:
        return None, "this number is measured once, at the end, and has no curve"
    variants = _variants(comparison, claim)
    for panel in panels:
        shown = series.add(panel.key, variants)
        if not shown:
            continue
        if finding.parts and claim.rule in TWO_SIDED and len(shown) == 2 and len(claim.arms) == 2:
            difference = _difference(claim, finding, panel, variants, looks, series)
            if difference is not None:
                return difference, ""
        arms = [variant for variant in variants if variant.label in shown]
        words = f"{panel.title} over steps of {', '.join(shown)}"
        return curves(panel.key, panel.axis.replace("\n", " "), words, [line_of(v, looks) for v in arms]), ""
    names = " or ".join(panel.title.lower() for panel in panels)
    return None, f"no run that it is about logs {names} at two steps"


def _difference(
    claim: Claim,
    finding: Finding,
    panel: Panel,
    variants: Sequence[Variant],
    looks: Mapping[str, ArmStyle],
    series: Series,
) -> Chart | None:
    first, second = variants
    try:
        key = series.add_difference(panel.key, first, second)
    except Missing:
        return None
    margin = finding.parts[0].margin if finding.parts and claim.measure.__name__ in SAME_UNIT else 0.0
    rules = [0.0, *((-margin, margin) if margin > 0 else ())]
    names = f"{looks[first.label].name} − {looks[second.label].name}"
    words = f"{panel.title} over steps, {names}, paired by seed; dashed: the margin" if margin else names
    title = f"{names}, {panel.title.lower()}"
    return curves(key, title, words, [line_of(first, looks)], rules)


def _variants(comparison: Comparison, claim: Claim) -> list[Variant]:
    if claim.measure.__name__ == "leakage_order":
        return list(opsd_supports(comparison).values())
    if claim.measure.__name__ == "leaking_falls":
        return comparison.of_method(claim.arms[0])
    found = []
    for selector in claim.arms:
        try:
            found.append(chosen(comparison, selector))
        except Missing:
            continue
    return list({variant.label: variant for variant in found if variant.trained}.values())
