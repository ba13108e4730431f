"""The official script's composite reward (github iie-ycx/RLSD, examples/visual_rl/reward_function/math_task.py)."""

from __future__ import annotations

import re

from rlsd_cli.verifiers.verdict import Verdict

ACCURACY_WEIGHT = 0.9
FORMAT_WEIGHT = 0.1
LAYOUT = re.compile(r"<\s*thought\s*>.*<\s*/\s*thought\s*>.*<\s*answer\s*>.*<\s*/\s*answer\s*>", re.DOTALL)


def follows_format(text: str) -> bool:
    """Return whether the whole completion is ``<thought>…</thought>…<answer>…</answer>``."""
    return LAYOUT.fullmatch(text.strip()) is not None


def composite_reward(text: str, verdict: Verdict) -> float:
    """Return 0.9 · accuracy + 0.1 · format, in [0, 1].

    The script's third term, a penalty for length, is inactive at its own settings and left out.
    """
    return ACCURACY_WEIGHT * verdict.correct + FORMAT_WEIGHT * follows_format(text)
