"""The page in a browser at a telephone's width, and its isolation of text that runs the other way."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rlsd_cli.leakage.audit import audit
from rlsd_cli.leakage.inputs import Columns, completions_source

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
PROBE = """
<script>
addEventListener('load', () => {
  const page = document.querySelector('iframe').contentDocument;
  const rate = [...page.querySelectorAll('td')].filter(cell => /^[0-9.]+\\u00a0%$/.test(cell.textContent));
  const label = page.querySelector('mark sup');
  const found = {
    width: page.documentElement.scrollWidth,
    broken: rate.filter(cell => cell.querySelector('bdi').getClientRects().length > 1).length,  // lines of the number
    rates: rate.length,
    outside: rate.filter(cell => cell.closest('.scroll').getBoundingClientRect().right > 391).length,
    isolated: getComputedStyle(page.querySelector('mark bdi')).unicodeBidi,
    label: label.textContent,
    left_to_right: getComputedStyle(label).direction,
  };
  document.body.innerHTML = '<p id="found">' + JSON.stringify(found) + '</p>';
});
</script>
"""


@pytest.fixture
def page(tmp_path: Path) -> str:
    """A report whose completions hold right-to-left text, an override that is never closed, and a very long word."""
    texts = [
        "\u202eThe reference solution says 7.",
        "הפתרון הוא 7. The reference solution says 7.",
        "x" * 3000 + " The answer key says 7.",
    ]
    path = tmp_path / ("long-" * 30 + "name.jsonl")
    rows = [{"completion": text, "step": step, "prompt": "Find x."} for step, text in enumerate(texts * 4, 1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    audit(completions_source(path, Columns()), tmp_path / "out")
    return (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_every_text_of_a_completion_is_isolated_from_the_labels(page):
    assert page.count("<mark") == 12
    for mark in re.findall(r"<mark.*?</mark>", page, flags=re.S):
        assert re.fullmatch(r'<mark title="(\w+)"><bdi>[^<]*</bdi><sup>\1</sup></mark>', mark)
    for block in re.findall(r'<pre dir="auto">(.*?)</pre>', page, flags=re.S)[1::2]:
        outside = re.sub(r"<bdi>.*?</bdi>|<mark.*?</mark>|<span.*?</span>", "", block, flags=re.S)
        assert not outside.strip()


def test_a_rate_and_its_sign_stay_in_one_line(page):
    assert "100.00\u00a0%" in page
    assert not re.search(r"\d %</bdi>", page)


@pytest.mark.slow
def test_at_390_pixels_nothing_runs_out_of_the_screen_and_labels_stay_readable(page, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser here: install one of {', '.join(BROWSERS)}")
    frame = f'<iframe style="width:390px;height:800px;border:0" srcdoc="{html.escape(page)}"></iframe>'
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}{PROBE}</body>", encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
    shown = subprocess.run([*command, wrapper.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(html.unescape(re.search(r'<p id="found">(.*?)</p>', shown, flags=re.S).group(1)))
    assert found["rates"] > 10
    assert found["width"] <= 390
    assert (found["broken"], found["outside"]) == (0, 0)
    assert found["isolated"] == "isolate"
    assert found["label"] == "reference_solution"
    assert found["left_to_right"] == "ltr"
