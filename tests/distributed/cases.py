"""What is trained alone and in two processes, and how the two are compared."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load_file

from rlsd_cli.arms import ARMS as BUILT_IN
from rlsd_cli.arms.configure import build
from rlsd_cli.runs.directory import RunDir

ARMS = tuple(BUILT_IN)
KINDS = ("text", "vision")
# Their means are over the tokens of a pass (docs/arms.md): one process makes the same passes, and not one of all.
OVER_A_PASS = ("rlcsd", "srpo")
PROMPTS, GROUP, STEPS = 2, 4, 3
# Means over the tokens of a pass, then over passes: cut otherwise, they weigh tokens otherwise.
OF_PASSES = {"entropy", "distillation/loss", "teacher/kl_forward", "completions/mean_terminated_length"}


@dataclass(frozen=True)
class Case:
    """A run: its arm, its kind of model, whether an adapter is trained, the completions per pass of a process."""

    arm: str
    kind: str = "text"
    lora: bool = False
    micro_batch: int | None = None
    more: dict = field(default_factory=dict, hash=False, compare=False)
    label: str = ""

    @property
    def alone(self):
        """The name of the same run in one process."""
        return self.name if self.arm in OVER_A_PASS else self._name

    @property
    def name(self):
        return f"{self._name}-{self.micro_batch or 'whole'}"

    @property
    def _name(self):
        return "-".join([self.arm, self.kind, "lora" if self.lora else "all", *([self.label] if self.label else [])])

    def config(self, places, processes):
        """Return the configuration; ``places`` are the paths of the models and of the questions."""
        train = {
            "steps": STEPS,
            "prompts_per_step": PROMPTS,
            "group_size": GROUP,
            "micro_batch": self.micro_batch if processes > 1 or self.arm in OVER_A_PASS else None,
            "lora_rank": 2 if self.lora else None,
            "max_completion_tokens": 12,
            "save_every": STEPS,
            "learning_rate": 1e-3,
            "threads": 1,
        }
        layers = [{"method": self.arm, "train": train, "model": {"path": places[self.kind]}}]
        teacher = {"sync_every": 1, "reference": "solution"}
        if self.arm == "opd":
            teacher["model"] = places[f"{self.kind}-teacher"]
        # Probe and teacher's update fall on the same steps.
        layers += [{"teacher": teacher, "log": {"probe_every": 2, "probe_prompts": 2, "probe_group": 2}}]
        if self.kind == "vision":
            path = places["mixed" if self.label == "mixed" else "shapes"]
            data = {"path": path, "columns": {"images": "images"}, "held_out": 2}
            layers += [{"task": {"name": "dataset", "data": data}}]
        return build([*layers, self.more])


def written(folder):
    """Return the weights that a finished run has written; of tied ones, which sharded runs write twice, one."""
    (file,) = Path(folder).glob("model/*.safetensors")
    weights = load_file(file)
    tied = [name for name in weights if name.endswith("embed_tokens.weight")]
    if "lm_head.weight" in weights and tied and weights["lm_head.weight"].equal(weights[tied[0]]):
        del weights["lm_head.weight"]
    return weights


def largest_difference(one, two):
    """Return how far the final weights of two runs are apart."""
    first, second = written(one), written(two)
    assert first.keys() == second.keys()
    return max((weight.float() - second[name].float()).abs().max().item() for name, weight in first.items())


def metrics_apart(one, two, preset, tolerance=1e-4, of_passes=0.05):
    """Return the metrics in which two runs differ by more than a share, as sentences; ZeRO-3 has no probe."""
    left_out = ("time/", "probe/") if preset == "zero3" else ("time/",)
    told = []
    first, second = RunDir.open(one).metrics(), RunDir.open(two).metrics()
    if len(first) != len(second):
        return [f"{len(first)} steps against {len(second)}"]
    for before, after in zip(first, second, strict=True):
        for key in sorted(before.keys() | after.keys()):
            if key.startswith(left_out) or key == "step":
                continue
            a, b = before.get(key), after.get(key)
            share = of_passes if key in OF_PASSES else tolerance
            if a is None or b is None or abs(a - b) > max(share * abs(a), 1e-5):
                told.append(f"step {before['step']}: {key} {a} against {b}")
    return told


def write_cases(path, cases, places):
    """Write cases for the script that trains them."""
    rows = [{"name": case.name, "case": vars(case)} for case in cases]
    Path(path).write_text(json.dumps({"places": {k: str(v) for k, v in places.items()}, "cases": rows}))
    return path


def read_cases(path):
    """Return the cases and the paths that `write_cases` wrote."""
    told = json.loads(Path(path).read_text())
    return [Case(**row["case"]) for row in told["cases"]], told["places"]
