"""From measured turns to rows and tables."""

from __future__ import annotations

import statistics
from typing import Any

from rich.table import Table

from scripts.bench.flops import Shapes, Sizes

WARM_UP = 3  # steps left out at the start of a turn
COLUMNS = ("step", "rollout", "student", "teacher", "update", "other")


def median(turn: dict[str, Any], part: str) -> float:
    """Return the median seconds of a part over a turn's steps after the warm-up."""
    return statistics.median(step[part] for step in turn["steps"][WARM_UP:])


def shapes_of(turn: dict[str, Any]) -> Shapes:
    """Return what a turn's steps computed on; SFT's sequences count as prompts."""
    seen = turn["shapes"]
    sampled = "completion_ids" in seen
    return Shapes(
        rows=seen["rows"],
        prompts=seen["prompts"],
        prompt=seen["prompt_ids"] if sampled else 0,
        completion=seen["completion_ids"] if sampled else seen["input_ids"],
        teacher_prompt=seen.get("teacher_prompt_ids"),
        sampled=sampled,
    )


def sizes_of(turn: dict[str, Any]) -> Sizes:
    """Return the sizes of the turn's model."""
    return Sizes(**turn["sizes"])


def row(name: str, turns: list[dict[str, Any]], plain: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an arm's medians over rounds, and its ratio to the plain trainer's step within each round."""
    ratios = [median(turn, "step") / median(base, "step") for turn, base in zip(turns, plain, strict=True)]
    return {
        "arm": name,
        **{part: statistics.median(median(turn, part) for turn in turns) for part in COLUMNS},
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "peak_mib": statistics.median(turn["peak_mib"] for turn in turns),
        "added_mib": statistics.median(turn["peak_mib"] - turn["loaded_mib"] for turn in turns),
    }


def table(title: str, rows: list[dict[str, Any]], columns: dict[str, str]) -> Table:
    """Return a table; ``columns`` maps keys of a row to formats, such as ``.3f``."""
    made = Table(title=title)
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number else "left")
    for line in rows:
        made.add_row(*("–" if line.get(key) is None else format(line[key], how) for key, how in columns.items()))
    return made
