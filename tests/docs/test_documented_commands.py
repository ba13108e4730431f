"""Commands that the pages give for training: their settings are valid, and accelerate takes the launcher's options."""

import re
import shlex
from pathlib import Path

import pytest

from rlsd_cli.arms.configure import build, preset_layer
from rlsd_cli.config.assignments import parse_assignment

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TRAIN = re.compile(r"^\s*(?:srun bash -c ')?(accelerate launch .*?-m rlsd_cli|rlsd) (train .*)$", re.MULTILINE)


def option(words, *names):
    """Return what follows an option, None where it is not there."""
    places = [place for place, word in enumerate(words) if word in names]
    return words[places[-1] + 1] if places else None


def commands():
    """Return (page, words of the launcher, words of ``train``) of every command in a code block."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
        for launcher, train in TRAIN.findall(text):
            # A shell would put numbers and names in; a comment ends a command, and a quote the shell's own.
            plain = [re.sub(r"\$\(\(.*?\)\)|\$\w+", "4", words) for words in (launcher, train)]
            words = [shlex.split(part.rstrip("'"), comments=True) for part in plain]
            if "…" not in train and "." not in (option(words[1], "--method", "-m") or ""):  # a module of one's own
                found.append((page.name, *words))
    return found


COMMANDS = commands()


def test_there_are_commands_for_one_gpu_eight_and_four_machines():
    launched = [launcher for page, launcher, _ in COMMANDS if page == "gpu.md" and launcher[0] == "accelerate"]
    assert len(launched) >= 3
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize(("page", "launcher", "words"), COMMANDS)
def test_a_documented_command_is_valid(page, launcher, words):
    if option(words, "--config") is None:
        method = option(words, "--method", "-m") or "rlsd"
        layer = preset_layer(option(words, "--preset") or "micro", method)
        sets = [parse_assignment(words[place + 1]) for place, word in enumerate(words) if word == "--set"]
        build([layer, {"method": method}, *sets])
    if launcher[0] == "accelerate":
        from accelerate.commands.launch import launch_command_parser

        args = launch_command_parser().parse_args([*launcher[2:], "rlsd_cli"])
        assert (ROOT / args.config_file).is_file()
