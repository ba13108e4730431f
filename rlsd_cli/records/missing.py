"""What counts as no value."""

from __future__ import annotations

from typing import Any

# What pandas and NumPy print for a missing value; a column that was turned into text holds these words.
PRINTED = {"", "nan", "NaN", "NaT", "<NA>"}


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for none: None, NaN of any type, NaT, pandas' NA, blank text, and the words of them.

    >>> [is_missing(value) for value in (None, float("nan"), " ", "nan", 0, False, "None", [])]
    [True, True, True, True, False, False, False, False]
    """
    if isinstance(value, str):
        return value.strip() in PRINTED
    return value is None or is_nan(value)


def is_nan(value: Any) -> bool:
    """Tell whether a value is NaN of any type, NaT or pandas' NA."""
    if type(value).__name__ == "NAType":  # comparing it gives itself again
        return True
    if isinstance(value, str | list | tuple | dict | bytes):
        return False
    try:
        return bool(value != value)  # noqa: PLR0124 - true of NaN alone, whatever type it has
    except (TypeError, ValueError):  # an array
        return False
