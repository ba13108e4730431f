"""Commands as one line that a shell reads, whether it comes as it is or through xargs."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence

_PLAIN = re.compile(r"[\w@%+=:,./-]+")
# Words that a shell leaves alone once it neither splits words nor looks for files: quotes are for readers then.
_TAME = re.compile(r"(?![~#])[\w@%+=:,./ \[\]*?~#^!-]+")
_SETTING = "IFS=; set -f; S=$(printf %1s); "


def quoted(word: str) -> str:
    """Return a word so that it stays one with its double quotes and without them, since xargs takes them off.

    A blank is ``${S}``, which the line sets to one; a word with other characters of the shell's own is written in
    base64, which the shell reads back.

    >>> quoted("runs/a"), quoted("my runs/a"), quoted("$HOME")
    ('runs/a', '"my${S}runs/a"', '"$(echo JEhPTUU= | base64 -d)"')
    """
    if _PLAIN.fullmatch(word):
        return word
    if _TAME.fullmatch(word):
        return f'"{word.replace(" ", "${S}")}"'
    return f'"$(echo {base64.b64encode(word.encode()).decode()} | base64 -d)"' if word else '""'


def shell_line(commands: Iterable[Sequence[str]]) -> str:
    """Return commands as one line for a shell, Slurm, Ray or xargs; each runs if those before it went well.

    In ``xargs -I{} sh -c '{}'`` a shell sees the line without its quotes. So where a word has any, the line says
    that words are not to be split, nor read as patterns, in a subshell that leaves the caller's settings alone.

    >>> shell_line([("rlsd", "eval", "my runs/a")])
    '(IFS=; set -f; S=$(printf %1s); rlsd eval "my${S}runs/a")'
    """
    line = " && ".join(" ".join(map(quoted, command)) for command in commands)
    return f"({_SETTING}{line})" if '"' in line else line
