"""From an interval to a verdict: stated rules, no judgement by eye."""

from __future__ import annotations

from rlsd_cli.statistics import Interval, p_text

__all__ = ["UNDECIDED", "judge", "judge_within", "p_text", "signed"]

UNDECIDED = "undecided"


def judge(interval: Interval, threshold: float = 0.0, yes: str = "yes", no: str = "no") -> str:
    """Return ``yes`` if the whole interval lies above the threshold, ``no`` if it lies below or at it, else undecided.

    A quantity that is exactly the threshold in every seed is a "no": nothing was seen.
    """
    if not interval.known:
        return UNDECIDED
    if interval.low > threshold:
        return yes
    return no if interval.high <= threshold else UNDECIDED


def judge_within(interval: Interval, low: float, high: float, yes: str = "yes", no: str = "no") -> str:
    """Return ``yes`` if the whole interval lies within [low, high], ``no`` if wholly outside, else undecided."""
    if not interval.known:
        return UNDECIDED
    if low <= interval.low and interval.high <= high:
        return yes
    return no if interval.high < low or interval.low > high else UNDECIDED


def signed(interval: Interval, digits: int = 3) -> str:
    """Return ``+0.123 [−0.100, +0.346]``."""
    return interval.shown(digits=digits, sign=True).replace("-", "−")
