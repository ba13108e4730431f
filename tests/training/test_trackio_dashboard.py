"""Trackio's own dashboard shows a run's reward, leakage and entropy, looked at in a browser."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from processes import Command, rlsd

from rlsd_cli.config.run import dump

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
HEADLESS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=30000", "--window-size=1200,900")
SHOWN = ("reward", "leakage/rate", "entropy")
SERVE = "import sys, trackio; trackio.show(project='mine', open_browser=False, server_port=int(sys.argv[1]))"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_the_dashboard_draws_reward_leakage_and_entropy(tiny_config, tmp_path):
    pytest.importorskip("trackio")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no browser")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TRACKIO_DIR": str(tmp_path / "trackio"), "COLUMNS": "160"}
    (tmp_path / "run.yaml").write_text(dump(tiny_config("grpo", {"log": {"project": "mine"}, "label": "seen"})))
    words = ("train", "--config", "run.yaml", "--output-dir", "run", "--report-to", "trackio")
    trained = rlsd(*words, cwd=tmp_path, env=env).finish()
    assert trained.returncode == 0, trained.stderr
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["log"]["report_to"] == "trackio"

    port = free_port()
    server = Command([sys.executable, "-c", SERVE, port], tmp_path, env)
    try:
        server.wait_for(lambda: "launched at" in server.stdout)
        url = f"http://127.0.0.1:{port}/?project=mine&smoothing=0&metric_filter=^({'|'.join(SHOWN)})$"
        seen = subprocess.run(
            [browser, *HEADLESS, f"--user-data-dir={tmp_path}/profile", "--dump-dom", url],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout
    finally:
        server.kill()
    (tmp_path / "seen.html").write_text(seen)
    assert "seen-seed-0" in seen
    for name in SHOWN:
        assert name.split("/")[-1] in seen
