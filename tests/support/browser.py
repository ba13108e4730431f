"""A page in headless Chromium: a script of the test looks at it and says what it found."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")


def look(page: str, script: str, folder: Path, *, width: int, dark: bool = False) -> dict[str, Any]:
    """Return what ``script`` finds in the page, shown in a frame of ``width`` pixels; skip the test without a browser.

    ``script`` is the body of an async function of the frame's ``window`` and ``document`` and returns an object. What
    the page's own scripts throw is under ``errors``.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser here: install one of {', '.join(BROWSERS)}")
    # The first script of the page, so that no error escapes it.
    watched = page.replace(
        "<head>",
        "<head><script>window.errors=[];addEventListener('error',e=>errors.push(e.message));"
        "addEventListener('unhandledrejection',e=>errors.push(String(e.reason)))</script>",
        1,
    )
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(watched)}"></iframe>'
    probe = """<script>
    const pause = (time) => new Promise((done) => setTimeout(done, time));
    addEventListener('load', async () => {
      const window = document.querySelector('iframe').contentWindow, page = window.document;
      while (!page.body.dataset.ready && !window.errors.length) await pause(50);
      let found = {};
      try { found = await (async (window, document) => { SCRIPT })(window, page); }
      catch (error) { found.failed = String(error); }
      found.errors = window.errors;
      const told = document.createElement('p');
      told.id = 'found';
      told.textContent = JSON.stringify(found);
      document.body.replaceChildren(told);
    });
    </script>""".replace("SCRIPT", script)
    wrapper = folder / f"wrapper-{width}.html"
    wrapper.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}{probe}</body>", encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"]
    command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--window-size={max(width, 500)},900"]
    shown = subprocess.run([*command, wrapper.as_uri()], capture_output=True, text=True, timeout=300, check=True).stdout
    told = re.search(r'<p id="found">(.*?)</p>', shown, flags=re.S)
    assert told, "the page was never ready"
    return json.loads(html.unescape(told.group(1)))
