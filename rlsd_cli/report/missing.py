"""What a set of runs can't support."""


class Missing(Exception):
    """A figure or table can't be made from the given runs; the message is the reason, as a clause."""
