"""The model card of a run: what was trained, how, and what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from rlsd_cli.config.run import RunConfig
from rlsd_cli.evaluation.results import Evaluation, evaluations
from rlsd_cli.runs.directory import RunDir, read_object
from rlsd_cli.statistics.intervals import Interval

LICENCE = (
    "Weights inherit the licence of the base model, and the training data may have one of its own. This card was "
    "generated and names neither: look both up, and set `license:` above, before you make this repository public."
)


def evaluation_table(found: Sequence[Evaluation]) -> str:
    """Return the suites' numbers as a Markdown table, or a sentence where there are none."""
    summaries = [each.summary for each in found if "greedy_accuracy" in each.summary]
    if not summaries:
        return "Not evaluated: there is no `eval/` in the run directory (`rlsd eval RUN_DIR` writes it)."
    lines = [
        "| suite | step | questions | greedy, % [95 %] | avg@k, % [95 %] | k | tokens | leakage, % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in summaries:
        greedy, average = (
            Interval.of(row.get(name), row.get(ends)).shown(percent=True, digits=1)
            for name, ends in (("greedy_accuracy", "greedy_interval"), ("avg_at_k", "avg_at_k_interval"))
        )
        told = [row.get(key, "–") for key in ("suite", "checkpoint_step", "n_questions")]
        leakage = Interval.of(row.get("leakage_rate"), None).shown(percent=True, digits=1).split()[0]
        told += [greedy, average, row.get("samples", "–"), row.get("max_new_tokens", "–"), leakage]
        lines.append(f"| {' | '.join(map(str, told))} |")
    return "\n".join(lines)


def leakage_sentence(run_dir: RunDir) -> str:
    """Return what is known of leakage in training: the last step's rate, of probes where nothing was sampled."""
    lines = run_dir.metrics() if run_dir.metrics_file.is_file() else []
    for key, what in (("leakage/rate", "of the rollouts"), ("probe/leakage", "of the probe's completions")):
        found = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
        if found:
            step, rate = found[-1]
            return (
                f"At step {step}, {100 * rate:.1f} % {what} mentioned a reference that the prompt does not hold "
                "(detector: `rlsd leakage-audit`)."
            )
    return "Leakage was not measured in training."


def settings_text(config: RunConfig) -> str:
    """Return the configuration without paths of the machine that trained."""
    told = config.model_dump()
    for section, key in (("model", "path"), ("teacher", "model")):
        told[section][key] = public_name(told[section][key])
    if "data" in told["task"]:
        told["task"]["data"]["path"] = public_name(told["task"]["data"]["path"])
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def public_name(path: str | None) -> str | None:
    """Return a hub id as it is, and only the last part of a directory's path."""
    looks_local = path is not None and (path.startswith((".", "/", "~")) or path.count("/") > 1)
    return path.rstrip("/").rsplit("/", 1)[-1] if looks_local and path else path


def card(run_dir: RunDir) -> str:
    """Return the README.md of a run's model.

    Raises:
        UserError: A file of the run is damaged.
    """
    config = RunConfig.model_validate(run_dir.config())
    base, status = public_name(config.model.path) or "", run_dir.status()
    adapter = (run_dir.model_dir / "adapter_config.json").is_file()
    header: dict[str, Any] = {
        "library_name": "peft" if adapter else "transformers",
        "tags": ["rlsd", "trl", config.method, "self-distillation"],
        "pipeline_tag": "text-generation",
    }
    if "/" in base:  # the hub checks that a base model exists there
        header = {"base_model": base, **header}
    versions: dict[str, Any] = {}
    if run_dir.provenance_file.is_file():
        attempts = read_object(run_dir.provenance_file).get("attempts") or [{}]
        versions = attempts[-1].get("versions", {})
    return f"""---
{yaml.safe_dump(header, sort_keys=False).strip()}
---

# {config.name} on {base}

Trained from `{base}` with the method `{config.method}`, seed {config.seed}, \
{status.get("step")} of {config.train.steps} steps, by `rlsd`{", as a LoRA adapter" if adapter else ""}. \
The methods are those compared in "Self-Distilled RLVR" (arXiv 2604.03128).

## Licence

{LICENCE}

## Measured

{evaluation_table(evaluations(run_dir))}

{leakage_sentence(run_dir)}

## Settings

```yaml
{settings_text(config).strip()}
```

## Versions

`{json.dumps(versions)}`
"""
