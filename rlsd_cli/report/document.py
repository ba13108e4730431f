"""REPORT.md: verdicts on the paper's claims, figures, tables, the paper's numbers beside, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.report.claims import Claim, Finding, Page
from rlsd_cli.report.claims.rules import NOT_TESTED
from rlsd_cli.report.comparison import Comparison, Variant, settings
from rlsd_cli.report.gates import GatesFile
from rlsd_cli.report.reported import paper, reported_figure1b, reported_table2
from rlsd_cli.report.style import in_order
from rlsd_cli.report.table import Cell, Table
from rlsd_cli.report.verdicts import p_text

if TYPE_CHECKING:
    from rlsd_cli.report.render import Shown

SHOWN_SETTINGS = (
    "model.path",
    "task.name",
    "task.operations",
    "train.steps",
    "train.prompts_per_step",
    "train.group_size",
    "train.temperature",
)


VERDICTS = (
    "Seen, equal and not seen hold at 95 % over all claims of this page together: p is two-sided and Holm-adjusted "
    "over those that were tested; brackets are plain 95 % intervals, Student t over training seeds unless the rule "
    "says otherwise. Equal: within the margin by two one-sided tests. Undecided: the numbers allow several, or there "
    "is one seed. Not testable here: the runs are there, and a gate, a premise or the positive control fails. Not "
    "tested: the runs for it are not there."
)
BESIDE = "beside"  # holds numbers of both, so it stands with theirs


def setup(variants: Sequence[Variant]) -> tuple[str, Table]:
    """Return what all arms share, in a sentence ('' where nothing), and a table of the variants with their settings."""
    of_arms = [settings(variant.runs[0].config) for variant in variants if variant.trained]
    common = [
        f"{key} {of_arms[0][key]}"
        for key in SHOWN_SETTINGS
        if of_arms and key in of_arms[0] and all(own.get(key) == of_arms[0][key] for own in of_arms)
    ]
    rows = []
    for variant in variants:
        own = settings(variant.runs[0].config)
        steps = sorted({run.step for run in variant.runs})
        cells = [
            variant.method,
            ", ".join(map(str, variant.seeds)),
            ", ".join(map(str, steps)) + ("" if variant.complete else " (unfinished)"),
            _short(own.get("train.learning_rate")),
            *variant.arm.teacher_and_reference(_section(variant, "teacher")),
        ]
        rows.append((variant.label, [Cell(text=text) for text in cells]))
    columns = ("Method", "Seeds", "Steps", "Learning rate", "Teacher", "Reference")
    sentence = f"Common to all arms: {', '.join(common)}." if common else ""
    return sentence, Table("setup", "", columns, rows, corner="Variant")


def _setup(variants: Sequence[Variant]) -> str:
    sentence, table = setup(variants)
    return (f"{sentence}\n\n" if sentence else "") + table.markdown().lstrip()


def _section(variant: Variant, name: str) -> dict[str, Any]:
    found = variant.runs[0].config.get(name)
    return found if isinstance(found, dict) else {}


def _short(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _claims(page: Page) -> str:
    table = Table(
        "claims",
        "",
        ("Where", "On our runs", "p", "Controls", "Evidence"),
        [_row(claim, finding) for claim, finding in page.claims],
        corner="Claim",
    )
    text = table.markdown().lstrip() + f"\n{VERDICTS}\n"
    tested = [(claim, finding) for claim, finding in page.controls if finding.verdict != NOT_TESTED]
    if tested:
        rows = [_row(claim, finding) for claim, finding in tested]
        controls = Table("controls", "", ("Where", "On our runs", "p", "Controls", "Evidence"), rows, corner="Control")
        text += f"\nControls of the instrument, judged apart from the claims:\n\n{controls.markdown().lstrip()}"
    rules = "".join(f"- *{claim.statement}*: {claim.sentence}\n" for claim, _ in (*page.claims, *page.controls))
    return f"{text}\n<details><summary>The rules</summary>\n\n{rules}\n</details>\n"


def verdict_table(page: Page) -> Table:
    """Return the claims with their verdicts alone, for print."""
    rows = []
    for claim, finding in page.claims:
        _, (place, verdict, p, *_) = _row(claim, finding)
        rows.append((claim.statement, [place, verdict, p]))
    caption = "The claims and what our runs say; p is two-sided and Holm-adjusted over the claims that were tested."
    return Table("claims", caption, ("Where", "On our runs", "p"), rows, corner="Claim")


def _row(claim: Claim, finding: Finding) -> tuple[str, list[Cell]]:
    p = p_text(finding.p).removeprefix("p = ").removeprefix("p ") if finding.p is not None else "–"
    texts = (claim.place or "–", finding.verdict, p, finding.control or "–", finding.evidence)
    return claim.statement, [Cell(text=text) for text in texts]


def gates_table(gates: dict[str, GatesFile]) -> Table:
    """Return the table of the gates of the bases."""
    rows = [
        (
            gate.name,
            [
                Cell(text=base),
                Cell(value=gate.value, low=gate.ends[0], high=gate.ends[1]),
                Cell(value=gate.threshold),
                Cell(text="yes" if gate.passed else "no"),
            ],
        )
        for base, found in gates.items()
        for gate in found.gates
    ]
    caption = "Gates, what the base must do so that a claim can be true or false on it:"
    return Table("gates", caption, ("Base", "Measured", "Asked", "Passed"), rows, corner="Gate")


def _embedded(each: Shown, output: Path) -> str:
    names = [path.relative_to(output).as_posix() for path in each.files]
    pictures = [name for name in names if name.endswith((".png", ".svg"))]
    image = f"![{each.name}]({pictures[0]})\n\n" if pictures else ""
    links = ", ".join(f"[{name}]({name})" for name in names)
    missing = f"\n\nNot in it: {'; '.join(each.partly)}." if each.partly else ""
    return f"### {each.name}\n\n{image}{each.caption} Files: {links}.{missing}\n"


def document(
    comparison: Comparison,
    page: Page,
    shown: Sequence[Shown],
    left_out: Sequence[tuple[str, str]],
    output: Path,
    command: str,
    others: Mapping[str, Page] | None = None,
) -> str:
    """Return REPORT.md, equal for equal runs: it holds no date but those of the runs.

    Args:
        comparison: The runs.
        page: The claims with their verdicts.
        shown: Figures and tables that were written.
        left_out: (name, reason) of those that were not.
        output: Where REPORT.md goes; links are relative to it.
        command: The command line that made it.
        others: Claims of other papers with their verdicts, by the paper's title.
    """
    variants = in_order(comparison.variants.values())
    about = paper()["paper"]
    parts = [f"# {about['title']} (arXiv {about['arxiv']}) on our runs\n"]
    made = f"Made by `{command}`" if command else "Made by `rlsd plot`"
    days = sorted({day for variant in variants for run in variant.runs if (day := started(run.directory))})
    span = f" from runs started {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") if days else ""
    parts.append(f"{made}{span}. Every number outside the last section is measured on the runs listed here.\n")
    gates = f"\n{gates_table(comparison.gates).markdown()}" if comparison.gates else ""
    parts.append("## The claims\n\n" + _claims(page) + gates)
    parts += [f"## The claims of {title}\n\n{_claims(each)}" for title, each in (others or {}).items()]
    parts.append("## The runs\n\n" + _setup(variants))
    if comparison.notes:
        parts.append("Noticed while sorting them:\n\n" + "".join(f"- {note}\n" for note in comparison.notes))
    tables = [each for each in shown if each.table and each.name != BESIDE]
    figures = [each for each in shown if each.table is None]
    if tables:
        links = "Each also as LaTeX and CSV, under the same name.\n"
        parts.append(
            f"## Tables\n\n{links}\n"
            + "\n".join(f"### {each.name}\n\n{each.table.markdown()}" for each in tables if each.table)
        )
    if figures:
        parts.append("## Figures\n\n" + "\n".join(_embedded(each, output) for each in figures))
    if left_out:
        parts.append("## Left out\n\n" + "".join(f"- {name}: {reason}\n" for name, reason in left_out))
    together = [each.table.markdown() for each in shown if each.table and each.name == BESIDE]
    theirs = "\n".join([*together, *(table.markdown() for table in (reported_table2(), reported_figure1b()))])
    parts.append(
        "## Reported by the paper\n\nOther models, other tasks, other budgets than ours: levels can't be compared, "
        "only the order of the arms.\n\n" + theirs + _described()
    )
    return "\n".join(parts)


def _described() -> str:
    """Return what the paper reports without numbers."""
    data = paper()
    lines = []
    for name, title in (("figure1a", "Fig. 1(a)"), ("figure3", "Fig. 3"), ("figure5", "Fig. 5")):
        said = "; ".join(
            f"{key.replace('_', ' ')}: {_words(value)}" for key, value in data[name].items() if key != "source"
        )
        lines.append(f"- {title} ({data[name]['source']}): {said}.\n")
    return "\n" + "".join(lines)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items())
    return str(value)


def started(directory: Any) -> str:
    """Return the day a run started (from provenance.json), '' if unknown."""
    try:
        value = json.loads(directory.provenance_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    attempts = value.get("attempts") if isinstance(value, dict) else None
    first = attempts[0] if isinstance(attempts, list) and attempts else None
    text = first.get("started") if isinstance(first, dict) else None
    return text[:10] if isinstance(text, str) else ""
