"""The documentation as a site: it builds, and a broken link ends the build."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("mkdocs")


def build(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(checkout / "site")]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("docs", "scripts", "results", "tests", "rlsd_cli", "experiments"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docs").unlink()
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for path in ROOT.glob("*.*"):
        if path.is_file():
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "scripts").unlink()
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_site_builds_with_readme_as_its_first_page(checkout):
    made = build(checkout)
    assert made.returncode == 0, made.stderr
    assert "rlsd train --method rlsd" in (checkout / "site" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("[gone](no-such-page.md)", "no-such-page.md"),
        ("[gone](../results/no-such-file.md)", "no-such-file.md"),
        ("[gone](arms.md#no-such-heading)", "no-such-heading"),
    ],
)
def test_a_broken_link_ends_the_build(checkout, link, told):
    page = checkout / "docs" / "metrics.md"
    page.write_text(page.read_text(encoding="utf-8") + f"\n{link}\n", encoding="utf-8")
    made = build(checkout)
    assert made.returncode != 0
    assert told in made.stderr
