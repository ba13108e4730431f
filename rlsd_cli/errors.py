"""The one exception that reaches users."""


class UserError(Exception):
    """Something the user can put right: a wrong key, a missing file, a run that is not one.

    The message is one sentence that says what to do. The command line prints it
    without a traceback and exits with code 2.
    """
