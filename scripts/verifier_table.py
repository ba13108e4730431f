"""The verifier against its golden table, beside math-verify alone and a comparison of strings.

    python scripts/verifier_table.py            # prints precision and recall by form
    python scripts/verifier_table.py --write    # and puts the table into docs/data.md
    python scripts/verifier_table.py --wrong    # prints the rows on which our verdict differs

Precision: of the answers called right, the share that is right. Recall: of the right answers, the share called right.
"""

from __future__ import annotations

import argparse
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlsd_cli.runs.directory import write_text
from rlsd_cli.verifiers.choice import judge_letter, letter_of_text, verify_choice
from rlsd_cli.verifiers.load import judge_all, load_verifier
from rlsd_cli.verifiers.reasoning import opening_of
from rlsd_cli.verifiers.verdict import Verdict

ROOT = Path(__file__).resolve().parent.parent
TABLES = {
    "tuned": ROOT / "tests" / "verifiers" / "golden_table.yaml",
    "apart": ROOT / "tests" / "verifiers" / "golden_table_apart.yaml",
}
DOCS = ROOT / "docs" / "data.md"
BEGIN, END = "<!-- verifier table: python scripts/verifier_table.py --write -->", "<!-- end of the verifier table -->"


@dataclass(frozen=True)
class Row:
    """One row of the table; ``kind`` 'text': the gold is the text of an option."""

    part: str
    form: str
    gold: str
    completion: str
    right: bool
    kind: str = "auto"
    options: tuple[str, ...] = ()
    prompt: str = ""

    def judged(self) -> Verdict:
        """Return our verdict."""
        text = opening_of(self.prompt) + self.completion
        if self.kind == "text":
            return judge_letter(text, letter_of_text(self.gold, self.options), self.options)
        if self.options:
            return verify_choice(text, self.gold, self.options)
        kind: Any = self.kind
        return load_verifier(kind)(text, self.gold)


def rows(parts: tuple[str, ...] = ("tuned", "apart")) -> list[Row]:
    """Return the rows of some parts of the table.

    Raises:
        ValueError: A verdict is neither 'right' nor 'wrong'.
    """
    found = []
    for part in parts:
        for form, lines in yaml.load(TABLES[part].read_text(encoding="utf-8"), yaml.CSafeLoader).items():
            for gold, completion, verdict, *extras in lines:
                if verdict not in ("right", "wrong"):
                    raise ValueError(f"{part}, {form}: {verdict!r} is no verdict")
                more = {**extras[0], "options": tuple(extras[0].get("options", ()))} if extras else {}
                more.pop("text", None)
                found.append(Row(part, form, gold, completion, verdict == "right", **more))
    return found


def ours(table: list[Row]) -> list[bool]:
    """Return our verdicts."""
    return [verdict.correct for verdict in judge_all(Row.judged, [(row,) for row in table])]


def math_verify_alone(table: list[Row]) -> list[bool]:
    """Return what math-verify says by itself, with its own extraction: letters for a gold that is one."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, StringExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    mathematics = (LatexExtractionConfig(), ExprExtractionConfig())

    def judge(row: Row) -> bool:
        letter = re.fullmatch(r"\(?[A-J]\)?", row.gold)
        how = (StringExtractionConfig(strings=tuple("ABCDEFGHIJ")),) if letter else mathematics
        try:
            gold = parse(row.gold if letter else f"${row.gold.strip('$')}$", extraction_config=how)
            return bool(verify(gold, parse(row.completion, extraction_config=how)))
        except Exception:  # what it can't read is wrong
            return False

    return [judge(row) for row in table]


def string_comparison(table: list[Row]) -> list[bool]:
    """Return whether the last box, answer block or line is the gold, character by character."""

    def judge(row: Row) -> bool:
        marks = re.findall(r"\\boxed\{(.*)\}|<answer>(.*?)</answer>", row.completion)
        said = (marks[-1][0] or marks[-1][1]) if marks else row.completion.strip().split("\n")[-1].rpartition(" ")[2]
        return bool(said.strip(" .")) and said.strip(" .") == row.gold.strip()

    return [judge(row) for row in table]


def rates(table: list[Row], verdicts: list[bool]) -> tuple[float | None, float | None]:
    """Return (precision, recall) of verdicts, None where nothing is called right, or nothing is."""
    called = [row.right for row, verdict in zip(table, verdicts, strict=True) if verdict]
    found = [verdict for row, verdict in zip(table, verdicts, strict=True) if row.right]
    return (sum(called) / len(called) if called else None), (sum(found) / len(found) if found else None)


def report(table: list[Row], judges: dict[str, list[bool]]) -> str:
    """Return the table of precision and recall by form, in Markdown."""
    lines = [
        "| form | right | wrong | " + " | ".join(judges) + " |",
        "|---|--:|--:|" + "--:|" * len(judges),
    ]

    def line(name: str, chosen: list[int]) -> str:
        part = [table[index] for index in chosen]
        cells = []
        for verdicts in judges.values():
            pair = rates(part, [verdicts[index] for index in chosen])
            cells.append(" / ".join("–" if rate is None else f"{100 * rate:.0f}" for rate in pair))
        right = sum(row.right for row in part)
        return f"| {name} | {right} | {len(part) - right} | " + " | ".join(cells) + " |"

    forms = dict.fromkeys(row.form for row in table)
    lines += [line(form, [i for i, row in enumerate(table) if row.form == form]) for form in forms]
    for part, name in (("tuned", "**all that it was tuned on**"), ("apart", "**held apart**")):
        chosen = [i for i, row in enumerate(table) if row.part == part]
        if chosen:
            lines.append(line(name, chosen))
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/data.md")
    parser.add_argument("--wrong", action="store_true", help="print the rows on which our verdict differs")
    parser.add_argument("--part", choices=list(TABLES), help="one part of the table only")
    arguments = parser.parse_args()
    table = rows((arguments.part,) if arguments.part else ("tuned", "apart"))
    mine = ours(table)
    if arguments.wrong:
        for row, verdict in zip(table, mine, strict=True):
            if verdict != row.right:
                print(row.part, row.form, repr(row.gold), repr(row.completion), row.judged(), sep=" | ")
        return
    judges = {"ours": mine, "math-verify alone": math_verify_alone(table), "strings": string_comparison(table)}
    text = report(table, judges)
    print(text)
    if arguments.write:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        write_text(DOCS, f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
