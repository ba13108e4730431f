"""The audit: completions in, report.json, hits.parquet and report.html out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.detect import Finding, Hit, examine, switched_off
from rlsd_cli.leakage.early import EARLY_RULE, FIRST_RULE, answer_first, early_answer, hidden
from rlsd_cli.leakage.hits import Excerpts, HitsFile, Sample, record
from rlsd_cli.leakage.inputs import Completion, Repeated, Source, Unreadable, run_source
from rlsd_cli.leakage.judge import Judge
from rlsd_cli.leakage.labels import Sheet
from rlsd_cli.leakage.language import language_of
from rlsd_cli.leakage.page import render
from rlsd_cli.leakage.rules import RuleSet, load_rules
from rlsd_cli.leakage.tally import Tally
from rlsd_cli.runs.directory import write_json, write_text

SCHEMA_VERSION = 2
APART = (EARLY_RULE, FIRST_RULE)
EMPTY_SHARE = 0.5  # with more empty completions than this, text was expected and is not there
DISMISSED_SHOWN = 5  # matches that did not count which a report shows, per reason


@dataclass(frozen=True)
class Options:
    """What to do beside counting."""

    shown: int = 1000  # completions with hits on the page
    judge: str | None = None  # a causal language model that gives a second opinion
    judge_limit: int = 200  # completions it judges: that many with a mention, that many without
    rules: RuleSet = field(default_factory=load_rules)
    include: tuple[str, ...] = ()  # rules apart from the rate that are to be in it
    label_sheet: int | None = None  # completions of a blind sheet for readers (labels.py)
    calibration: dict[str, Any] | None = None  # what is known of the rules on this text (calibrate.py, labels.py)
    progress: Callable[[int], None] | None = None  # told the number of completions read, now and then


@dataclass
class Kept:
    """What an audit keeps of single completions: bounded samples."""

    with_hits: Sample
    without: Sample
    excerpts: Excerpts
    sheet: Sheet | None = None
    dismissed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, completion: Completion, found: list[Finding], hits: list[Hit], early: list[Hit]) -> None:
        """Offer a completion to the samples."""
        self.excerpts.add(completion, hits)
        if self.sheet:
            self.sheet.add(completion, hits)
        if hits or early:
            self.with_hits.add(completion, sorted(hits + early, key=lambda hit: (hit.start, hit.end)))
        if not hits:
            self.without.add(completion, [])
        for finding in found:
            if finding.dismissed and not finding.apart:
                shown = self.dismissed.setdefault(finding.dismissed, [])
                if len(shown) < DISMISSED_SHOWN:
                    shown.append(record(completion, finding.hit))


def audit(source: Source, output: Path, options: Options | None = None) -> dict[str, Any]:
    """Audit completions, write the reports into ``output`` and return report.json as a dictionary.

    Time is linear in the text; memory does not depend on the number of completions.

    Raises:
        UserError: There is nothing to audit, the output can't be written, or the judge can't be loaded.
    """
    options = options or Options()
    tally = Tally(options.rules.families, options.include)
    judge = Judge(options.judge) if options.judge else None  # first of all: a model that can't be had costs no reading
    judged = options.judge_limit if options.judge else 0
    weights = {name: rule.weight for name, rule in options.rules.families.items()}
    kept = Kept(
        Sample(max(options.shown, judged)),
        Sample(judged),
        Excerpts(weights),
        Sheet(options.label_sheet) if options.label_sheet else None,
    )
    try:
        with HitsFile(output / "hits.parquet") as file:
            for item in source.read():
                if isinstance(item, Completion):
                    count(item, tally, kept, file, options)
                    if options.progress and tally.total % 500 == 0:
                        options.progress(tally.total)
                elif isinstance(item, Unreadable):
                    tally.add_unreadable(item)
                else:
                    tally.repeated += isinstance(item, Repeated)
            refuse_nothing(source, tally)
        report = assemble(source, tally, kept, options, judge)
        if kept.sheet:
            kept.sheet.write(output)
        write_json(output / "report.json", report)
        write_text(output / "report.html", render(report, kept.with_hits.items(options.shown)))
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror}): give another --output-dir.") from None
    return report


def count(item: Completion, tally: Tally, kept: Kept, file: HitsFile, options: Options) -> None:
    """Examine one completion and enter it everywhere."""
    found = [
        replace(finding, apart=finding.apart and finding.hit.rule not in options.include)
        for finding in examine(item.text, item.prompt, options.rules)
    ]
    hits = [finding.hit for finding in found if not finding.dismissed and not finding.apart]
    apart = [finding.hit for finding in found if not finding.dismissed and finding.apart]
    early: dict[str, bool] | None = None
    if item.answer and hidden(item.answer, item.prompt):
        spans = {
            EARLY_RULE: early_answer(item.text, item.answer, item.prompt),
            FIRST_RULE: answer_first(item.text, item.answer, item.prompt),
        }
        apart += [Hit(rule, *span, item.text[slice(*span)]) for rule, span in spans.items() if span]
        early = {rule: span is not None for rule, span in spans.items()}
    dismissed = (finding.dismissed for finding in found if finding.dismissed and not finding.apart)
    tally.add(item, hits, dismissed, early, (hit.rule for hit in apart if hit.rule not in APART))
    tally.switched_off.update(switched_off(item.prompt, options.rules))
    tally.languages[language_of(item.text)] += 1
    file.add(item, hits + apart)
    kept.add(item, found, hits, apart)


def missing_text(report: dict[str, Any]) -> str:
    """Say what text was expected and is not there; '' where all is."""
    if report["unreadable"]["count"]:
        return f"{report['unreadable']['count']} rows could not be read"
    if report["empty"] > EMPTY_SHARE * report["n"]:
        return f"{report['empty']} of {report['n']} completions have no text"
    return ""


def refuse_nothing(source: Source, tally: Tally) -> None:
    """Raise if no completion was read.

    Raises:
        UserError: All rows are unreadable, or there is none.
    """
    if tally.total:
        return
    if tally.unreadable_rows:
        first = tally.unreadable_rows[0]
        raise UserError(
            f"none of the {tally.reasons.total()} rows of {source.name} can be read: "
            f"{first['source']}, row {first['row']}: {first['reason']}."
        )
    raise UserError(f"{source.name} holds no completions: it is empty.")


def assemble(source: Source, tally: Tally, kept: Kept, options: Options, judge: Judge | None) -> dict[str, Any]:
    """Return report.json (docs/leakage-audit.md lists its fields)."""
    second = None
    if judge:
        counting = tally.completions.keys()
        mentions = [(c, hits) for c, hits in kept.with_hits.items() if any(hit.rule in counting for hit in hits)]
        second = judge.opinion(mentions[: options.judge_limit], kept.without.items())
    return {
        "schema_version": SCHEMA_VERSION,
        "rules_version": options.rules.version,
        "calibration": options.calibration,
        "input": {"kind": source.kind, "name": source.name, "files": source.files},
        **tally.report(),
        "judge": second,
        "excerpts": kept.excerpts.items(),
        "dismissed_examples": [
            {"reason": reason, **row} for reason in sorted(kept.dismissed) for row in kept.dismissed[reason]
        ],
        "shown": {"completions": min(options.shown, kept.with_hits.seen), "of": kept.with_hits.seen},
    }


def audit_run(run_dir: Path | str) -> dict[str, Any]:
    """Audit a run directory, write RUN_DIR/leakage/ and return report.json as a dictionary.

    Raises:
        UserError: The path is no run directory, or it holds no completions yet.
    """
    source = run_source(run_dir)
    return audit(source, source.output)
