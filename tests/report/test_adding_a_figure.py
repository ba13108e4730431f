"""The worked example of docs/adding-a-figure.md, taken from the page and used from outside the package."""

import re
from pathlib import Path

import pytest
from synthetic_runs import write_run
from typer.testing import CliRunner

from rlsd_cli.cli import app
from rlsd_cli.errors import UserError
from rlsd_cli.report.claims.registry import ADDED
from rlsd_cli.report.figures import FIGURES, outside

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-figure.md"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write the page's module into a directory of its own, and forget afterwards what it added."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)
    (tmp_path / "mylab_of_the_page").mkdir()
    (tmp_path / "mylab_of_the_page" / "lengths.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    figures, claims = dict(FIGURES), dict(ADDED)
    yield "mylab_of_the_page.lengths"
    for known, before in ((FIGURES, figures), (ADDED, claims)):
        known.clear()
        known.update(before)


def test_the_example_of_the_page_is_drawn_and_its_claim_judged(module, tmp_path):
    for method in ("grpo", "opsd"):
        for seed in range(3):
            write_run(tmp_path / "runs" / f"{method}-{seed}", method, seed, evaluated=False, credit=False)
    out = tmp_path / "out"
    asked = ["--figure", "length_growth", "--figure", "report"]
    result = CliRunner().invoke(
        app, ["plot", str(tmp_path / "runs"), "--figures", module, *asked, "--output-dir", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {"length_growth.pdf", "length_growth.png", "REPORT.md"}
    report = (out / "REPORT.md").read_text()
    assert "![length_growth](length_growth.png)" in report
    # 27 tokens become 31 as leakage rises: 12 % more, above the margin of 5 %.
    assert "| OPSD's rollouts grow longer | our own | seen |" in report
    assert "minus 1. Equal: certainly within ±0.05" in report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FIGURES = {'fig1a': print}", "there is already"),
        ("FIGURES = {'../x': print}", "take letters"),
        ("FIGURES = {}", "holds no figures"),
        ("FIGURES = {'x': 1}", "holds no figures"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_drawn_is_refused_in_one_sentence(tmp_path, monkeypatch, text, message):
    name = f"figures_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=message):
        outside(name)
