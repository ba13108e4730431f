"""The one exception that reaches users."""

from collections.abc import Iterable

LISTED = 500  # characters


class UserError(Exception):
    """Something the user can put right: a wrong key, a missing file, a run that is not one.

    The message is one sentence that says what to do. The command line prints it
    without a traceback and exits with code 2.
    """


def listed(names: Iterable[str]) -> str:
    """Return names with commas between, cut at `LISTED` characters: a file can have names of any number and length."""
    text = ", ".join(names) or "none"
    return text if len(text) <= LISTED else f"{text[:LISTED]} …"
