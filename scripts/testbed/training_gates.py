"""The gates that need training, from the runs of sweeps: `python -m scripts.testbed.training_gates MICRO [CREDIT]`.

MICRO holds runs of GRPO and OPSD on `micro-base`, CREDIT those of experiments/micro-credit/headroom.yaml; without it
the gate of the true credit is told to be unmeasured.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rlsd_cli.gates.base import Gate
from rlsd_cli.gates.page import gate_rows, markdown_table, replaced
from rlsd_cli.runs.directory import RunDir, write_json, write_text

MARGIN = 0.023  # the paper's gain of RLSD over GRPO, the accuracy claim's margin
START, END = "<!-- training gates: written by scripts/testbed/training_gates.py -->", "<!-- end of training gates -->"


def curves(directory: Path, key: str) -> dict[str, list[list[float]]]:
    """Return the curve of each complete run of a sweep, by label."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for status in sorted(directory.glob("*/*/status.json")):
        run = RunDir(status.parent)
        if run.status().get("state") == "complete":
            label = run.config().get("label") or run.config()["method"]
            found[label].append([line[key] for line in run.metrics() if key in line])
    return found


def fifth(curve: list[float], which: int) -> float:
    """Return the mean over a fifth of a run, 0 the first, 4 the last."""
    return float(np.mean(np.array_split(np.array(curve), 5)[which]))


def over_seeds(runs: list[list[float]], which: int) -> float:
    """Return the mean over runs of a fifth's mean."""
    return float(np.mean([fifth(curve, which) for curve in runs]))


def judge(micro: Path, credit: Path | None, grpo: str, opsd: str) -> tuple[list[Gate], dict[str, Any]]:
    """Return the gates, and the numbers that they rest on; ``grpo`` and ``opsd`` are the labels of their runs."""
    reward, entropy = ({name: curves(micro, key)[name] for name in (grpo, opsd)} for key in ("reward", "entropy"))
    long = curves(credit, "reward") if credit else {}
    by_fifth = {
        name: {label: [over_seeds(runs, part) for part in range(5)] for label, runs in each.items()}
        for name, each in (("reward", reward), ("entropy", entropy), ("reward_credit", long))
    }
    distilled, policy = by_fifth["reward"][opsd], by_fifth["reward"][grpo]
    gained = clipped = float("nan")
    if long:
        gained, clipped = (
            over_seeds(long[label], 4) - over_seeds(long["grpo"], 4) for label in ("rlsd-vine-unclipped", "rlsd-vine")
        )
    found = [
        Gate(
            "GRPO's entropy, loss from the first fifth to the last, share",
            0.05,
            1 - by_fifth["entropy"][grpo][4] / by_fifth["entropy"][grpo][0],
            "whether an arm keeps more entropy than GRPO",
        ),
        Gate(
            "GRPO's gain in reward over the run",
            0.2,
            policy[4] - policy[0],
            "any gain over the base",
        ),
        Gate(
            "GRPO's reward in the last fifth, head-room left",
            0.95,
            policy[4],
            "any gain over GRPO",
            at_most=True,
        ),
        Gate("OPSD's reward in the last fifth, head-room left", 0.95, distilled[4], "any gain of OPSD's", at_most=True),
    ]
    if credit:
        found.append(
            Gate(
                "micro-credit: true credit − GRPO, reward in the last fifth",
                3 * MARGIN,
                gained,
                "whether credit for tokens gains anything",
            )
        )
    seeds = {label: len(runs) for label, runs in (reward | long).items()}
    return found, {"fifths": by_fifth, "true_credit_gain": gained, "clipped_gain": clipped, "seeds": seeds}


def main(
    micro: Annotated[Path, typer.Argument(exists=True, help="Directory of a sweep with GRPO and OPSD.")],
    credit: Annotated[Path | None, typer.Argument(exists=True, help="Directory of headroom.yaml's sweep.")] = None,
    grpo: Annotated[str, typer.Option(help="Label of GRPO's runs.")] = "grpo",
    opsd: Annotated[str, typer.Option(help="Label of OPSD's runs.")] = "opsd",
    page: Annotated[Path, typer.Option(help="Renew the table between the marks of this page.")] = Path(
        "docs/testbed.md"
    ),
    json_file: Annotated[Path, typer.Option("--json")] = Path("results/testbed/training.json"),
) -> None:
    """Judge and write."""
    found, numbers = judge(micro, credit, grpo, opsd)
    table = markdown_table(["gate", "asked", "measured", "met"], gate_rows(found))
    runs = f"Runs: {', '.join(f'{label} {count}' for label, count in numbers['seeds'].items())}."
    clipped = f"Clipped at ε_w = 0.2 the true credit gains {numbers['clipped_gain']:+.3f}: the most that RLSD could."
    note = f"{clipped if credit else 'The true credit was not measured.'} {runs}"
    text = "\n".join([*table, "", note, ""])
    typer.echo(text)
    write_json(json_file, {**numbers, "gates": [{**vars(gate), "met": gate.met} for gate in found]})
    write_text(page, replaced(page.read_text(encoding="utf-8"), text, START, END))


if __name__ == "__main__":
    typer.run(main)
