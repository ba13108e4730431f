"""One table, three renderings."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rlsd_cli.report.latex import latex_text
from rlsd_cli.statistics import Interval


@dataclass(frozen=True)
class Cell:
    """A cell: words, or a number with its interval.

    Attributes:
        text: Shown instead of a number.
        value: The number (a share is a fraction, not a percentage).
        low: Lower end of the interval; None where there is none.
        high: Upper end.
        bold: Best of its column beyond doubt.
        digits: Decimals shown; the CSV has all of them.
    """

    text: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bold: bool = False
    digits: int = 3

    @classmethod
    def of(cls, interval: Interval, bold: bool = False, digits: int = 3, most: float = math.inf) -> Cell:
        """Return a cell for a mean of values from 0 to ``most`` with its interval, if it has one."""
        interval = interval.within(0.0, most)
        if interval.known:
            return cls(value=interval.mean, low=interval.low, high=interval.high, bold=bold, digits=digits)
        return cls(value=interval.mean, bold=bold, digits=digits)

    @classmethod
    def signed(cls, interval: Interval) -> Cell:
        """Return a cell for a difference with its interval, if it has one."""
        low, high = (interval.low, interval.high) if interval.known else (None, None)
        return cls(value=interval.mean, low=low, high=high)

    def brief(self) -> str:
        """Return the number with the larger half of its interval: ``0.512 ±0.032``."""
        if self.value is None or self.low is None or self.high is None:
            return self.shown()
        half = max(self.value - self.low, self.high - self.value)
        return f"{self.value:.{self.digits}f} ±{half:.{self.digits}f} {self.text}".rstrip()

    def shown(self) -> str:
        """Return what a reader sees: ``0.512 [0.480, 0.544]``, a bare number, words, or a dash."""
        if self.value is None or math.isnan(self.value):
            return self.text or "–"
        number = f"{self.value:.{self.digits}f}"
        if self.low is not None and self.high is not None:
            number = Interval(self.value, self.low, self.high, 0).shown(digits=self.digits)
        return f"{number.replace('-', '−')} {self.text}".rstrip()


@dataclass
class Table:
    """A table: ``rows`` holds a cell for each of ``columns``; the first column of the print is the row's name.

    Attributes:
        name: File name without suffix.
        caption: What is shown, with n, k and the kind of interval.
        columns: Names of the columns.
        rows: (name, cells) in order.
        notes: Footnotes.
        corner: Name of the column of row names.
    """

    name: str
    caption: str
    columns: Sequence[str]
    rows: list[tuple[str, list[Cell]]]
    notes: list[str] = field(default_factory=list)
    corner: str = "Arm"

    def __post_init__(self) -> None:
        for name, cells in self.rows:
            if len(cells) != len(self.columns):
                raise ValueError(f"row '{name}' has {len(cells)} cells for {len(self.columns)} columns")

    def markdown(self) -> str:
        """Return the table as GitHub Markdown, best values in bold, notes below."""

        def safe(text: str) -> str:
            return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")

        lines = [
            "| " + " | ".join(safe(text) for text in (self.corner, *self.columns)) + " |",
            "|" + "---|" * (len(self.columns) + 1),
        ]
        for name, cells in self.rows:
            shown = [f"**{safe(cell.shown())}**" if cell.bold else safe(cell.shown()) for cell in cells]
            lines.append("| " + " | ".join([safe(name), *shown]) + " |")
        text = f"{self.caption}\n\n" + "\n".join(lines) + "\n"
        return text + "".join(f"\n- {note}" for note in self.notes) + ("\n" if self.notes else "")

    def latex(self) -> str:
        """Return a LaTeX table (packages booktabs, graphicx and textcomp), made no wider than the page."""
        import pandas as pd

        frame = pd.DataFrame(
            [[cell.shown() for cell in cells] for _, cells in self.rows],
            index=[latex_text(name) for name, _ in self.rows],
            columns=[latex_text(name) for name in self.columns],
        )
        # Duplicate names are allowed in a table but not in a Styler: it works on positions.
        labels, heads = list(frame.index), list(frame.columns)
        frame.index, frame.columns = pd.RangeIndex(len(labels)), pd.RangeIndex(len(heads))
        bold = pd.DataFrame(
            [["textbf:--rwrap;" if cell.bold else "" for cell in cells] for _, cells in self.rows],
            index=frame.index,
            columns=frame.columns,
        )
        styler = (
            frame.style.format(latex_text)
            .apply(lambda _: bold, axis=None)
            .format_index(lambda i: labels[i], axis=0)
            .format_index(lambda i: heads[i], axis=1)
        )
        body = styler.to_latex(hrules=True, column_format="l" * (len(heads) + 1))
        body = body.replace(r"\toprule" + "\n", r"\toprule" + "\n" + latex_text(self.corner), 1)
        notes = "".join(f"\\par\\footnotesize {latex_text(note)}\n" for note in self.notes)
        body = f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{body.strip()}}}\n"
        return (
            f"\\begin{{table}}[htbp]\n\\centering\n\\caption{{{latex_text(self.caption)}}}\n"
            f"\\label{{tab:{self.name}}}\n{body}{notes}\\end{{table}}\n"
        )

    def csv(self) -> str:
        """Return one line per cell: row, column, value, low, high, text, bold; numbers at full precision."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["row", "column", "value", "low", "high", "text", "bold"])
        for name, cells in self.rows:
            for column, cell in zip(self.columns, cells, strict=True):
                numbers = [
                    "" if n is None or math.isnan(n) else repr(float(n)) for n in (cell.value, cell.low, cell.high)
                ]
                writer.writerow([name, column, *numbers, cell.text, int(cell.bold)])
        return buffer.getvalue()
