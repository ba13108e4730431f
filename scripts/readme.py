"""Numbers of README.md and docs/ that come from results/: `python scripts/readme.py` writes them, `--check` compares.

A number stands between two comments, the first of which says whence it is:

    <!-- from: table results/demo/summary.csv | GRPO, RLSD | Accuracy = Suites' accuracy, Leakage -->…<!-- end -->
    <!-- from: across results/demo/summary.csv | Base, GRPO, RLSD | Accuracy = accuracy, Leakage -->…<!-- end -->
    <!-- from: number results/demo/differences.csv | RLSD − GRPO | mean | signed, 3 -->…<!-- end -->
    <!-- from: verdict results/demo/REPORT.md | RLSD ends above GRPO -->…<!-- end -->
    <!-- from: count results/demo/REPORT.md | seen -->…<!-- end -->
    <!-- from: margin rlsd_above | 3 -->…<!-- end -->

``table`` has a row per arm, ``across`` a column per arm and no intervals; ``A = B`` prints A under the name B;
``number`` takes ``signed``, ``percent``, ``bare`` (no interval) and the digits. Rows are named as in the file without
their ``(n=3)``. Between ``<!-- results -->`` and ``<!-- end of results -->`` every number has to be marked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rlsd_cli.errors import UserError
from rlsd_cli.report.claims import paper_claims
from rlsd_cli.report.table import Cell
from rlsd_cli.statistics import Interval

ROOT = Path(__file__).parents[1]
MARKED = re.compile(r"(<!-- from: (?P<source>.*?) -->)(?P<shown>.*?)(<!-- end -->)", re.DOTALL)
RESULTS = re.compile(r"<!-- results -->(.*?)<!-- end of results -->", re.DOTALL)
# A number with a point, or per cent, but the level of an interval; versions and paths are none.
LOOSE = re.compile(r"(?<![\w./-])(?!95 %)(?:[+−-]?\d+\.\d+(?![\w./])|\d+(?= ?%))")
COUNTED = re.compile(r"\(n=\d+\)$")


def rows_of(file: str) -> dict[str, dict[str, Cell]]:
    """Return the cells of a table's CSV by row, without the count of its seeds, and column.

    Raises:
        UserError: There is no such file.
    """
    path = ROOT / file
    if not path.is_file():
        raise UserError(f"{file} is not there: run what writes it.")
    found: dict[str, dict[str, Cell]] = {}
    for row in pd.read_csv(path, dtype={"text": str}).to_dict("records"):
        value, low, high = (
            None if math.isnan(float(row[key])) else float(row[key]) for key in ("value", "low", "high")
        )
        text = row["text"] if isinstance(row["text"], str) else ""
        name = COUNTED.sub("", str(row["row"])).strip()
        found.setdefault(name, {})[str(row["column"])] = Cell(text, value, low, high)
    return found


def cell(file: str, row: str, column: str) -> Cell:
    """Return one cell.

    Raises:
        UserError: The file, the row or the column is not there.
    """
    found = rows_of(file)
    if row not in found:
        raise UserError(f"{file} has no row '{row}'; it has {', '.join(found)}.")
    if column not in found[row]:
        raise UserError(f"{file} has no column '{column}'; it has {', '.join(found[row])}.")
    return found[row][column]


def named(text: str) -> list[tuple[str, str]]:
    """Return (name in the file, name that is printed) of ``A = B, C``."""
    pairs = [item.partition("=") for item in text.split(",")]
    return [(name.strip(), shown.strip() or name.strip()) for name, _, shown in pairs]


def table(file: str, rows: str, columns: str) -> str:
    """Return a Markdown table with a row per arm, intervals and all."""
    heads = named(columns)
    lines = ["| Arm | " + " | ".join(shown for _, shown in heads) + " |", "|" + "---|" * (len(heads) + 1)]
    for row, name in named(rows):
        lines.append(f"| {name} | " + " | ".join(cell(file, row, column).shown() for column, _ in heads) + " |")
    return "\n\n" + "\n".join(lines) + "\n\n"


def across(file: str, rows: str, columns: str) -> str:
    """Return a Markdown table with a column per arm, numbers alone."""
    arms = named(rows)
    lines = ["| | " + " | ".join(name for _, name in arms) + " |", "|" + "---|" * (len(arms) + 1)]
    for column, shown in named(columns):
        cells = [cell(file, row, column) for row, _ in arms]
        lines.append(f"| {shown} | " + " | ".join(Cell(value=one.value).shown() for one in cells) + " |")
    return "\n\n" + "\n".join(lines) + "\n\n"


def number(file: str, row: str, column: str, how: str = "") -> str:
    """Return a number with its interval."""
    words = [word.strip() for word in how.split(",")]
    digits = next((int(word) for word in words if word.isdigit()), 3)
    one = cell(file, row, column)
    if one.value is None:
        return one.shown()
    sign, percent = "signed" in words, "percent" in words
    if "bare" in words or one.low is None or one.high is None:
        text = f"{one.value * (100 if percent else 1):{'+' if sign else ''}.{digits}f}"
    else:
        text = Interval(one.value, one.low, one.high, 0).shown(digits=digits, sign=sign, percent=percent)
    return text.replace("-", "−")


def verdicts(file: str) -> dict[str, str]:
    """Return the verdicts of a REPORT.md by the claim's statement.

    Raises:
        UserError: There is no such file.
    """
    path = ROOT / file
    if not path.is_file():
        raise UserError(f"{file} is not there: run what writes it.")
    section = path.read_text(encoding="utf-8").split("## The claims\n", 1)[-1].split("\n## ", 1)[0]
    claims = section.split("Controls of the instrument", 1)[0]
    lines = [line.strip("| ").split(" | ") for line in claims.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[2] for cells in lines[1:] if len(cells) > 2}


def verdict(file: str, statement: str) -> str:
    """Return what a REPORT.md says of a claim.

    Raises:
        UserError: It has no such claim.
    """
    found = verdicts(file)
    if statement not in found:
        raise UserError(f"{file} has no claim '{statement}'; it has {'; '.join(found)}.")
    return found[statement]


def count(file: str, wanted: str) -> str:
    """Return how many claims of a REPORT.md have a verdict."""
    return str(sum(each == wanted for each in verdicts(file).values()))


def margin(key: str, digits: str = "3") -> str:
    """Return the smallest effect that counts, of a claim of the refereed paper."""
    by_key = {claim.key: claim for claim in paper_claims().claims}
    if key not in by_key:
        raise UserError(f"there is no claim '{key}'; there are: {', '.join(by_key)}.")
    return f"{by_key[key].margin.value:.{int(digits)}f}"


SOURCES: dict[str, Callable[..., str]] = {
    "table": table,
    "across": across,
    "number": number,
    "verdict": verdict,
    "count": count,
    "margin": margin,
}


def written(text: str) -> str:
    """Return a page with every marked number as results/ have it now.

    Raises:
        UserError: A mark names something that is not there.
    """

    def fresh(match: re.Match[str]) -> str:
        kind, _, rest = match["source"].strip().partition(" ")
        parts = [part.strip() for part in rest.split("|")]
        try:
            value = SOURCES[kind](*parts)
        except KeyError:
            raise UserError(f"'{match[1]}': there is no source '{kind}'; there are: {', '.join(SOURCES)}.") from None
        except TypeError:
            raise UserError(f"'{match[1]}' has {len(parts)} parts: see scripts/readme.py.") from None
        except UserError as reason:
            raise UserError(f"'{match[1]}': {reason}") from None
        return f"{match[1]}{value}{match[4]}"

    return MARKED.sub(fresh, text)


def loose(text: str) -> list[str]:
    """Return the numbers in the parts between ``results`` comments that no mark vouches for."""
    parts = RESULTS.findall(text)
    plain = [re.sub(r"\(\S*?\)|`[^`]*`", "", MARKED.sub("", part)) for part in parts]  # no links, no code
    return [each for part in plain for each in LOOSE.findall(part)]


def pages() -> list[Path]:
    """Return README.md and the pages of docs/ that have marks."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [path for path in found if MARKED.search(path.read_text(encoding="utf-8"))]


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a page is not current.")] = False,
) -> None:
    """Write the numbers of README.md and docs/ that come from results/."""
    stale = False
    for path in pages():
        text = path.read_text(encoding="utf-8")
        now = written(text)
        if now != text:
            stale = True
            typer.echo(f"{path.relative_to(ROOT)}: {'is not current' if check else 'written'}")
            if not check:
                path.write_text(now, encoding="utf-8")
    if check and stale:
        raise typer.Exit(1)


if __name__ == "__main__":
    try:
        typer.run(main)
    except UserError as error:
        raise SystemExit(f"readme: {error}") from None
