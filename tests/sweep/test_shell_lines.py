"""Lines of `rlsd sweep --dry-run` come to the program word by word, through every shell and through xargs."""

import itertools
import shutil
import subprocess
import sys

import pytest

from rlsd_cli.sweep.shell import shell_line

WORDS = [
    "plain/path-1.0",
    "a b/c",
    " two  blanks ",
    'train.lora_targets=["q", "v"]',
    "train.lora_targets=[q, v]",
    "label=β = 1 (new)",
    "it's",
    "$HOME `date` \\n",
    "*",
    "~/x",
    "{a,b}",
    "a;b&c|d>e",
    "#no comment",
    "tab\tand\nline",
]
SHOW = [sys.executable, "-c", "import sys; sys.stdout.write(str(sys.argv[1:]) + chr(10))"]
SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh") if shutil.which(shell)]
XARGS = [[], ["-d", "\n"]]


def said(line, reader, cwd):
    done = subprocess.run(reader, input=line + "\n", capture_output=True, text=True, cwd=cwd, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_word_arrives_in_one_piece(tmp_path, shell):
    (tmp_path / "a file that a star would find").touch()
    line = shell_line([[*SHOW, *WORDS], [*SHOW, "and", "b c"]])
    wanted = [str(WORDS), str(["and", "b c"])]
    assert "\n" not in line
    assert said(line, [shell], tmp_path) == wanted
    for options in XARGS:
        assert said(line, ["xargs", *options, "-I{}", shell, "-c", "{}"], tmp_path) == wanted


def test_the_pipeline_of_the_help_runs_a_command_for_each_line(tmp_path):
    lines = "\n".join(shell_line([[*SHOW, word]]) for word in WORDS)
    shown = said(lines, ["xargs", "-P", "4", "-I{}", "sh", "-c", "{}"], tmp_path)
    assert sorted(shown) == sorted(str([word]) for word in WORDS)


def test_a_line_stops_at_the_first_command_that_fails_and_leaves_the_shell_alone(tmp_path):
    line = shell_line([[sys.executable, "-c", "raise SystemExit(3)"], [*SHOW, "never shown"]])
    # Behind the line, words are split and stars are read as before.
    (tmp_path / "x").touch()
    assert said(f"{line}\necho $? *; A='1 2'; printf %s. $A", ["sh"], tmp_path) == ["3 x", "1.2."]


def test_ordinary_lines_are_ordinary():
    assert shell_line([["rlsd", "train", "--set", "train.steps=3"], ["rlsd", "eval", "runs/a"]]) == (
        "rlsd train --set train.steps=3 && rlsd eval runs/a"
    )


def test_no_quotes_are_needed_to_read_a_line():
    for first, second in itertools.product(WORDS, repeat=2):
        assert "'" not in shell_line([[first, second]])
        assert "\\" not in shell_line([[first, second]])
