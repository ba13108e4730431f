"""LaTeX: texts that can't be read as commands, and the skeleton of a paper around figures and tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

NAME = "paper.tex"
FLOATS = 6  # between two \clearpage: more would have to wait for each other
LATIN = 0x17F  # letters up to here have a shape in T1 fonts
TYPOGRAPHY = "“”‘’…€"

COMMANDS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "·": r"$\cdot$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "‖": r"$\|$",
    "∥": r"$\|$",
    "√": r"$\surd$",
    "∞": r"$\infty$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "ε": r"$\epsilon$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
    "π": r"$\pi$",
    "σ": r"$\sigma$",
    "χ": r"$\chi$",
    "→": r"$\to$",
    "′": r"$'$",
    "²": r"$^2$",
    "³": r"$^3$",
    "\u00a0": "~",
    "\n": " ",
}


def latex_text(text: str) -> str:
    """Return a text as LaTeX prints it; what no T1 font has becomes its nearest ASCII, or its number."""
    return "".join(map(_character, text))


def _character(character: str) -> str:
    if character in COMMANDS:
        return COMMANDS[character]
    if character in TYPOGRAPHY or (ord(character) <= LATIN and character.isprintable()):
        return character
    nearest = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if nearest.isprintable() and nearest:
        return "".join(COMMANDS.get(each, each) for each in nearest)
    return f"[U+{ord(character):04X}]"


@dataclass(frozen=True)
class Float:
    """A figure (a PDF beside the skeleton) or a table (a file that brings its own environment)."""

    name: str
    caption: str = ""
    figure: bool = True

    def latex(self) -> str:
        """Return the lines that show it."""
        if not self.figure:
            return f"\\input{{{self.name}}}\n"
        return (
            "\\begin{figure}[htbp]\n\\centering\n"
            f"\\includegraphics{{{self.name}.pdf}}\n"
            f"\\caption{{{latex_text(self.caption)}}}\n\\label{{fig:{self.name}}}\n\\end{{figure}}\n"
        )


def skeleton(title: str, about: str, floats: Sequence[Float]) -> str:
    """Return a document that shows the given figures and tables and leaves the words between them to its author.

    Args:
        title: Its title.
        about: How the runs were made, a sentence.
        floats: What it shows, in order: all figures stand before all tables.
    """

    def body(figures: bool) -> str:
        blocks = [each.latex() for each in floats if each.figure is figures]
        for place in range(FLOATS, len(blocks), FLOATS):
            blocks[place] = "\\clearpage\n" + blocks[place]
        return "\n".join(blocks)

    sections = [("Figures", body(True)), ("Tables", body(False))]
    text = "\n\\clearpage\n".join(f"\\section{{{name}}}\n\n{floats}" for name, floats in sections if floats)
    return (
        f"% {about}\n% Compile here: pdflatex {NAME}, or tectonic {NAME}. Figures are PDFs at their printed size.\n"
        "\\documentclass[10pt]{article}\n"
        "\\usepackage[a4paper,margin=0.65in]{geometry}\n"
        "\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}\n"
        "\\usepackage{textcomp}\n\\usepackage{graphicx}\n\\usepackage{booktabs}\n"
        "\\IfFileExists{lmodern.sty}{\\usepackage{lmodern}}{}\n\n"
        f"\\title{{{latex_text(title)}}}\n\\author{{}}\n\\date{{}}\n\n"
        "\\begin{document}\n\\maketitle\n\n\\section{Runs}\n\n"
        f"{latex_text(about)}\n\n{text}\n\\end{{document}}\n"
    )
