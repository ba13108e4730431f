"""Synthetic run directories for the tests of the report; never shown to users."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from rlsd_cli.config.layers import merge
from rlsd_cli.evaluation.blame import blame_file
from rlsd_cli.runs.directory import SCHEMA_VERSION, RunDir, write_json, write_parquet, write_text

SOLUTION = "7 + 9 = 16 ; 16 * 3 = 16 ; 16 - 20 = 28 ; answer 28 <eos>"
SUITES = ("chain", "large", "long")


def curves(method: str, support: str, steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return metrics (steps,) of the shape that the paper describes for an arm, with noise."""
    t = np.arange(1, steps + 1) / steps
    noise = rng.normal(size=(6, steps))
    seed = rng.normal() * 0.01
    result = {
        "loss": noise[0],
        "grad_norm": np.abs(noise[1]),
        "learning_rate": np.full(steps, 1e-4),
        "time/step_s": np.full(steps, 0.5 if method == "grpo" else 0.6) + 0.01 * np.abs(noise[5]),
    }
    reward = 0.4 + 0.35 * (1 - np.exp(-3 * t))
    leakage = np.zeros(steps)
    if method == "rlsd":
        reward = 0.4 + 0.45 * (1 - np.exp(-3 * t))
        result["rlsd/weight_clip_low"] = 0.02 + 0.002 * noise[2]
        result["rlsd/weight_clip_high"] = 0.03 + 0.002 * noise[3]
        result["rlsd/lambda"] = 0.5 * np.clip(1 - t * steps / 50, 0, None)
    if method in ("opsd", "grpo_opsd"):
        rate = {"full": 3.0, "teacher_top1": 5.0, "student_top1": 1.5}[support] * (1.0 if method == "opsd" else 0.4)
        leakage = 1 - np.exp(-rate * t**1.5)
        reward = 0.4 + 0.25 * (t / 0.15) * np.exp(1 - t / 0.15) * (t < 0.15) + 0.25 * (t >= 0.15) - 0.4 * leakage * t
    if method in ("opsd", "grpo_opsd", "opd"):
        fall = 0.12 if method == "opsd" else 0.8
        result["teacher/kl_forward"] = 0.37 * (1 - fall * (1 - np.exp(-6 * t))) + 0.005 * noise[4]
        result["distillation/loss"] = result["teacher/kl_forward"] * (0.9 if method == "opd" else 1.0)
    if method == "sft":
        return result
    result |= {
        "reward": np.clip(reward + seed + 0.04 * noise[0], 0, 1),
        "leakage/rate": np.clip(leakage + 0.01 * noise[1] * (leakage > 0), 0, 1),
        "entropy": (0.5 if method == "rlsd" else 0.4) * np.exp(-1.2 * t) + 0.01 * noise[2] + seed,
        "completions/mean_length": 27 + 4 * leakage + 0.2 * noise[3],
    }
    return result


def config_of(method: str, label: str, seed: int, steps: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the keys that the report reads."""
    teacher = {
        "source": "synced" if method == "rlsd" else "online",
        "reference": "answer" if method == "rlsd" else "solution",
    }
    base = {
        "method": method,
        "label": label,
        "seed": seed,
        "task": {"name": "arithmetic", "operations": 4},
        "model": {"path": "micro-base"},
        "teacher": teacher,
        "objective": {"support": "full"} if method == "opsd" else {},
        "train": {"steps": steps, "prompts_per_step": 16, "group_size": 8, "learning_rate": 1e-4, "threads": 1},
        "log": {"probe_every": 20},
    }
    return merge(base, changes)


def write_run(
    path: Path,
    method: str,
    seed: int = 0,
    *,
    label: str = "",
    steps: int = 60,
    changes: dict[str, Any] | None = None,
    state: str = "complete",
    evaluated: bool = True,
    credit: bool = True,
    metrics: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write a run directory and return its path.

    ``metrics`` (name to (steps,)) replaces the curves of the arm; then nothing is evaluated or probed.
    """
    if metrics is not None:
        steps, evaluated, credit = len(next(iter(metrics.values()))), False, False
    config = config_of(method, label, seed, steps, changes or {})
    run = RunDir(path)
    write_text(run.config_file, yaml.safe_dump(config))
    done = steps if state == "complete" else steps // 2
    write_json(run.status_file, {"schema_version": SCHEMA_VERSION, "state": state, "step": done, "steps": steps})
    write_json(run.provenance_file, {"attempts": [{"started": "2026-01-02T03:04:05+00:00"}]})
    support = str(config["objective"].get("support", "full"))
    rng = np.random.default_rng([seed, len(method), sum(map(ord, method + support))])
    columns = metrics if metrics is not None else curves(method, support, steps, rng)
    lines = []
    for step in range(1, done + 1):
        record: dict[str, Any] = {"step": step, **{name: float(values[step - 1]) for name, values in columns.items()}}
        if metrics is None and step % 5 == 0:
            accuracy = record.get("reward", 0.45) + float(rng.normal()) * 0.02
            record["probe/accuracy"] = min(max(accuracy, 0.0), 1.0)
            record["probe/leakage"] = record.get("leakage/rate", 0.0)
            record["probe/kl_forward"] = 0.3 * math.exp(-step / steps)
        lines.append(record)
    write_text(run.metrics_file, "".join(json.dumps(line) + "\n" for line in lines))
    if credit and method != "sft":
        for step in (0, done):
            write_parquet(run.credit_dir / f"step-{step:06d}.parquet", credit_frame(step, rng))
    if credit and method == "rlsd":
        write_planted(run, [[60 + seed, 10, 30 - seed, 0, 0], *([0] * 5 for _ in range(3))])
    if evaluated:
        accuracy = float(columns["reward"][done - 1]) if "reward" in columns else 0.45
        write_evaluations(run, accuracy, seed)
    return path


def write_evaluations(run: RunDir, accuracy: float, seed: int, questions: int = 60, samples: int = 4) -> None:
    """Write eval/<suite>.parquet with question difficulties that all runs share."""
    for number, suite in enumerate(SUITES):
        difficulty = np.random.default_rng(number).normal(size=questions)
        chance = 1 / (1 + np.exp(-(math.log(accuracy / (1 - accuracy)) + difficulty)))
        draws = np.random.default_rng([number, seed]).random((questions, samples + 1))
        rows = [
            {"suite": suite, "prompt_id": f"{suite}-{q}", "sample_id": k - 1, "correct": bool(draws[q, k] < chance[q])}
            for q in range(questions)
            for k in range(samples + 1)
        ]
        write_parquet(run.eval_dir / f"{suite}.parquet", pd.DataFrame(rows))


def write_planted(run: RunDir, counts: list[list[int]], reference: str = "answer") -> None:
    """Write credit/planted.json with counts of trajectories by planted and by blamed step."""
    each = {"counts": counts, "chance": 0.4, "chance_same_step": 0.2, "on_first_token": 0.1}
    write_json(blame_file(run), {"n": sum(map(sum, counts)), "references": {reference: each}})


def credit_frame(step: int, rng: np.random.Generator, prompts: int = 4, group: int = 4) -> pd.DataFrame:
    """Return the rows of a credit file: prompt 0 has only wrong rollouts, the others both kinds."""
    rows = []
    for prompt in range(prompts):
        right = [prompt > 0 and sample % 2 == 0 for sample in range(group)]
        share = sum(right) / group
        for sample in range(group):
            sign = 0.0 if share in (0, 1) else (1.0 if right[sample] else -1.0)
            tokens = SOLUTION.split()[: 20 + sample]
            delta = rng.normal(size=len(tokens)) * 0.3
            weight = np.clip(np.exp(sign * delta), 0.8, 1.2)
            rows.append(
                {
                    "step": step,
                    "prompt_id": f"probe-{prompt}",
                    "sample_id": sample,
                    "prompt": f"question 7 + 9 * 3 - {prompt} ?",
                    "completion": " ".join(tokens),
                    "reference": "28",
                    "answer": "28",
                    "extracted": "28" if right[sample] else "4",
                    "reward": float(right[sample]),
                    "correct": right[sample],
                    "advantage": sign,
                    "tokens": tokens,
                    "delta": delta,
                    "weight": weight,
                    "token_advantage": sign * weight,
                    "entropy": np.abs(delta),
                    "kl": np.abs(delta),
                }
            )
    return pd.DataFrame(rows)


def write_paper_set(root: Path, seeds: int = 3, steps: int = 60) -> Path:
    """Write all arms and the OPSD variants with several seeds each."""
    variants = [
        ("sft", "", {}),
        ("grpo", "", {}),
        ("opd", "", {}),
        ("opsd", "", {}),
        ("opsd", "opsd-teacher-top1", {"objective": {"support": "teacher_top1"}}),
        ("opsd", "opsd-student-top1", {"objective": {"support": "student_top1"}}),
        ("opsd", "opsd-frozen", {"teacher": {"source": "frozen"}}),
        ("grpo_opsd", "", {}),
        ("rlsd", "", {}),
    ]
    for method, label, changes in variants:
        for seed in range(seeds):
            path = root / (label or method) / f"seed-{seed}"
            write_run(path, method, seed, label=label, steps=steps, changes=changes)
    return root
