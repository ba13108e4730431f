"""`rlsd plot --format tex`: a document that shows every figure and table, compiles, and obeys no text of a run."""

import re
import shutil
import subprocess

import pytest
from synthetic_runs import write_run

from rlsd_cli.errors import UserError
from rlsd_cli.report.comparison import compare
from rlsd_cli.report.latex import Float, latex_text, skeleton
from rlsd_cli.report.render import check_formats, render
from rlsd_cli.report.runs import find_runs

ENGINES = ("tectonic", "pdflatex", "lualatex", "xelatex")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of an arm whose name is full of commands."""
    place = tmp_path_factory.mktemp("tex")
    for method in ("grpo", "rlsd"):
        for seed in (0, 1):
            write_run(place / "runs" / method / f"seed-{seed}", method, seed)
    write_run(place / "runs" / "odd", "opsd", label=r"\input{x} & 100 % of _{λ} #1 $ ~^ ‖漢‖")
    names = ["fig1a", "fig5a", "summary", "table1", "table2", "power", "report"]
    formats = check_formats("tex", paper=True)
    render(compare(find_runs([place / "runs"])), place / "out", names=names, formats=formats, command="rlsd plot a_b")
    return place / "out"


def test_the_document_names_files_that_are_there_and_everything_that_was_written(folder):
    text = (folder / "paper.tex").read_text(encoding="utf-8")
    pictures = re.findall(r"\\includegraphics\{(.*?)\}", text)
    tables = [f"{name}.tex" for name in re.findall(r"\\input\{(.*?)\}", text)]
    assert {path.name for path in folder.glob("*.pdf")} == set(pictures) != set()
    assert {path.name for path in folder.glob("*.tex")} == {*tables, "paper.tex"}
    assert "claims.tex" in tables
    assert not list(folder.glob("*.png"))


def test_every_letter_of_the_files_has_a_shape_in_the_documents_fonts(folder):
    for path in folder.glob("*.tex"):
        odd = {char for char in path.read_text(encoding="utf-8") if ord(char) > 0x17F} - set("“”‘’…€")
        assert not odd, path.name


def test_a_name_can_not_command_latex():
    text = latex_text('\\input{/etc/passwd} 50% a_b ~ ^ # $x$ {y} <z> "q" 漢 é 𝑥 \x00')
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textquotedbl)\{\}", "", text)
    assert not re.search(r"(?<!\\)[%_#$~^&]|(?<!\\)[{}]|\\[a-z]", plain)
    assert "é" in text
    assert text.endswith("[U+6F22] é x [U+0000]")


def test_floats_are_flushed_before_latex_runs_out_of_room_for_them():
    text = skeleton("t", "a", [Float(f"fig{i}", "c") for i in range(40)])
    assert max(block.count(r"\begin{figure}") for block in text.split(r"\clearpage")) <= 6


def test_tex_is_for_runs_and_brings_pdf():
    assert check_formats("tex", paper=True) == ["tex", "pdf"]
    assert check_formats("png,pdf,tex", paper=True) == ["png", "pdf", "tex"]
    with pytest.raises(UserError, match="tex is for the figures and tables of runs"):
        check_formats("tex")
    with pytest.raises(UserError, match="takes one or more of pdf, png, svg, tex"):
        check_formats("doc", paper=True)


@pytest.mark.slow
def test_the_document_compiles(folder, tmp_path):
    engine = next(filter(None, map(shutil.which, ENGINES)), None)
    if engine is None:
        pytest.skip(f"no LaTeX here: install one of {', '.join(ENGINES)}")
    shutil.copytree(folder, tmp_path / "paper")
    options = [] if engine.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
    made = subprocess.run(
        [engine, *options, "paper.tex"], cwd=tmp_path / "paper", capture_output=True, timeout=500, check=False
    )
    assert made.returncode == 0, made.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "paper" / "paper.pdf").stat().st_size > 20_000
