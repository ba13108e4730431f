"""Labels of readers: a blind sheet out, agreement, precision, recall and a corrected rate back.

The sheet is a stratified sample: completions with mentions, completions without
that a deliberately loose net catches, and others. Weights undo the
stratification. Intervals are those of independent Beta(k + ½, n − k + ½)
distributions of the strata's shares (Jeffreys), drawn with a fixed seed.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.detect import Hit
from rlsd_cli.leakage.hits import Sample, place
from rlsd_cli.leakage.inputs import Completion
from rlsd_cli.runs.directory import write_json

STRATA = ("mention", "loose", "other")
SHEET, KEY = "label-sheet.csv", "label-key.json"
LONGEST = 6000  # characters of a completion on the sheet
DRAWS, SEED = 20_000, 0
# Wide on purpose: whatever may name another text. Of what it catches, most is no leak.
_LOOSE = re.compile(
    r"refer|solution|answer key|\bkey\b|hint|given|provided|expected|ground|gold|official|label|rubric|demonstrat"
    r"|feedback"
    r"|suppos|told|target|答案|提示|参考|标准|solución|respuesta|pista|clave|lösung|antwort|hinweis|solution|réponse|corrigé|indice",
    re.I,
)
_YES, _NO = (
    {"1", "y", "yes", "true", "leak", "ja", "sí", "si", "oui", "是"},
    {"0", "n", "no", "false", "nein", "non", "否"},
)


@dataclass
class Sheet:
    """Collects the sample while an audit reads."""

    size: int

    def __post_init__(self) -> None:
        self.strata = {name: Sample(self.size) for name in STRATA}

    def add(self, completion: Completion, hits: list[Hit]) -> None:
        """Offer a completion."""
        name = "mention" if hits else "loose" if _LOOSE.search(completion.text) else "other"
        self.strata[name].add(completion, [])

    def write(self, directory: Path) -> int:
        """Write the sheet and its key; return the number of rows.

        A third of the rows for each stratum, more where another has too few; the
        order tells nothing.
        """
        seen = {name: sample.seen for name, sample in self.strata.items()}
        wanted = shares(seen, self.size)
        rows = [
            (completion, name)
            for name in STRATA
            for completion, _ in self.strata[name].items(wanted[name])
            if wanted[name]
        ]
        rows.sort(key=lambda entry: place(entry[0]))
        directory.mkdir(parents=True, exist_ok=True)
        with open(directory / SHEET, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "prompt", "completion", "leak"))
            for number, (completion, _) in enumerate(rows, 1):
                writer.writerow((number, completion.prompt[:LONGEST], completion.text[:LONGEST], ""))
        key = {"seen": seen, "strata": [name for _, name in rows]}
        write_json(directory / KEY, key)
        return len(rows)


def shares(seen: dict[str, int], size: int) -> dict[str, int]:
    """Return how many of each stratum to draw: equal shares, and what one lacks goes to the others."""
    wanted = dict.fromkeys(seen, 0)
    left = min(size, sum(seen.values()))
    while left:
        unfilled = [name for name in seen if wanted[name] < seen[name]]
        each = max(1, left // len(unfilled))
        for name in unfilled:
            step = min(seen[name] - wanted[name], each, left)
            wanted[name] += step
            left -= step
    return wanted


def read_labels(path: Path, count: int) -> list[bool]:
    """Read the labels of one reader.

    Args:
        path: The sheet, its column `leak` filled with 1 or 0 (or yes and no).
        count: Rows that it must have.

    Raises:
        UserError: The file is no such sheet, or a row has no label.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: give the sheet that --label-sheet wrote, filled in.")
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"id", "leak"} <= set(rows[0]):
        raise UserError(f"{path} has no columns `id` and `leak`: give the sheet that --label-sheet wrote, filled in.")
    labels: dict[str, bool] = {}
    for row in rows:
        word = (row["leak"] or "").strip().lower()
        if word not in _YES | _NO:
            raise UserError(f"{path}, id {row['id']}: the label is {word!r}, write 1 (a leak) or 0.")
        labels[str(row["id"])] = word in _YES
    if set(labels) != {str(number) for number in range(1, count + 1)}:
        raise UserError(f"{path} has other rows than its key ({count}): give the sheet of this very audit.")
    return [labels[str(number)] for number in range(1, count + 1)]


def kappa(a: list[bool], b: list[bool]) -> float:
    """Return Cohen's κ of two readers; 1 where both say the same of all."""
    agree = float(np.mean(np.equal(a, b)))
    chance = float(np.mean(a) * np.mean(b) + (1 - np.mean(a)) * (1 - np.mean(b)))
    return 1.0 if chance == 1 else (agree - chance) / (1 - chance)


def evaluate(seen: dict[str, int], strata: list[str], readers: list[list[bool]]) -> dict[str, Any]:
    """Return precision, recall and the corrected rate from labels.

    With several readers a row's label is their mean. The corrected rate is that of
    Rogan and Gladen (1978), (r + c − 1)/(s + c − 1) with the flagged rate r, sensitivity
    s and specificity c, both weighted by the strata.

    Args:
        seen: Completions of each stratum in the whole input.
        strata: The stratum of each row.
        readers: The labels of each reader, row by row.

    Returns:
        ``n``, ``kappa`` (None for one reader), and ``precision``, ``recall``, ``specificity``, ``corrected`` with
        ``value``, ``low`` and ``high`` (95 %).
    """
    labels = np.mean(np.array(readers, dtype=float), axis=0)
    rng = np.random.default_rng(SEED)
    total = sum(seen.values())
    shares_of: dict[str, tuple[float, np.ndarray]] = {}
    for name in STRATA:
        mine = labels[[stratum == name for stratum in strata]]
        n, k = len(mine), float(mine.sum())
        point = k / n if n else 0.0
        drawn = rng.beta(k + 0.5, n - k + 0.5, DRAWS) if n else np.zeros(DRAWS)
        if n >= seen.get(name, 0):  # all of it was read
            drawn = np.full(DRAWS, point)
        shares_of[name] = point, drawn
    weights = {name: seen.get(name, 0) / total for name in STRATA}

    def measures(share: dict[str, Any]) -> dict[str, Any]:  # of numbers, or of arrays of draws
        found = weights["mention"] * share["mention"]
        missed = sum(weights[name] * share[name] for name in ("loose", "other"))
        false = weights["mention"] - found
        clean = 1 - weights["mention"] - missed
        sensitivity = found / np.maximum(found + missed, 1e-12)
        specificity = clean / np.maximum(clean + false, 1e-12)
        informative = np.maximum(sensitivity + specificity - 1, 1e-12)
        return {
            "precision": share["mention"],
            "recall": sensitivity,
            "specificity": specificity,
            "corrected": np.clip((weights["mention"] + specificity - 1) / informative, 0, 1),
        }

    points = measures({name: point for name, (point, _) in shares_of.items()})
    drawn_measures = measures({name: draws for name, (_, draws) in shares_of.items()})
    result: dict[str, Any] = {"n": len(strata), "kappa": kappa(*readers[:2]) if len(readers) > 1 else None}
    for key, point in points.items():
        low, high = np.quantile(drawn_measures[key], (0.025, 0.975))
        result[key] = {"value": float(point), "low": float(low), "high": float(high)}
    return result


def read_back(paths: Iterable[Path], directory: Path) -> dict[str, Any]:
    """Evaluate filled sheets with the key in ``directory``.

    Raises:
        UserError: There is no key there, or a sheet is not as it should be.
    """
    key = directory / KEY
    if not key.is_file():
        raise UserError(f"{key} does not exist: run --label-sheet with the same --output-dir first.")
    data = json.loads(key.read_text("utf-8"))
    readers = [read_labels(path, len(data["strata"])) for path in paths]
    return evaluate(data["seen"], data["strata"], readers)
