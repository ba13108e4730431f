"""Trains every case alone and in two processes, and writes the table of docs/gpu.md.

    PYTHONPATH=.:tests/support python tests/distributed/matrix.py fsdp2 FOLDER [ARM…] [--page docs/gpu.md]

Two processes train case after case. A case that fails ends its processes; the next ones are trained in new ones. What
FOLDER holds complete is not trained again. With ``--page`` the table goes into the page, between its marks.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from cases import ARMS, KINDS, Case, largest_difference, metrics_apart, write_cases
from cpu_cluster import launch
from places import write_places

from rlsd_cli.arms import load_arm
from rlsd_cli.gates.page import replaced

SCRIPT = Path(__file__).with_name("train_cases.py")
BFLOAT16 = {"model": {"dtype": "bfloat16"}}
FURTHER = ("sft", "grpo", "rlsd")


def all_cases(preset, arms):
    """Yield what a preset is tried with.

    FSDP2: arm × kind of model × all weights or LoRA × completions per pass. ZeRO-3: every arm that it takes on text;
    three of them with pictures, with LoRA, and in bfloat16, too.
    """
    if preset == "zero3":
        taken = [arm for arm in arms if load_arm(arm).divergence is None]
        yield from (Case(arm, micro_batch=2) for arm in taken)
        for arm in [arm for arm in taken if arm in FURTHER]:
            yield Case(arm, "vision", micro_batch=1)
            yield Case(arm, lora=True, micro_batch=1)
            yield in_bfloat16(Case(arm, micro_batch=2))
        return
    for arm in arms:
        for kind in KINDS:
            for lora in (False, True):
                yield from (Case(arm, kind, lora, micro_batch) for micro_batch in (1, 2))


def in_bfloat16(case):
    return replace(case, more=BFLOAT16, label="bfloat16")


def complete(path):
    """Tell whether a run was trained to its end."""
    file = path / "status.json"
    return file.is_file() and json.loads(file.read_text())["state"] == "complete"


def left(folder, named):
    """Return the cases that lie not complete in a folder, and remove what they have left there."""
    cases = {name: case for name, case in named.items() if not complete(folder / name)}
    for name in cases:
        shutil.rmtree(folder / name, ignore_errors=True)
    return cases


def train_all(folder, preset, cases, places):
    """Train cases alone and in two processes, and return why those failed that did, by name."""
    alone = left(folder / "one", {case.alone: case for case in cases})
    if alone:
        launch(1, None, SCRIPT, write_cases(folder / "one.json", alone.values(), places), folder / "one", watch=folder)
    failed, rest = {}, list(left(folder / preset, {case.name: case for case in cases}).values())
    while rest:
        try:
            launch(2, preset, SCRIPT, write_cases(folder / "two.json", rest, places), folder / preset, watch=folder)
            break
        except AssertionError as error:
            begun = [place for place, case in enumerate(rest) if (folder / preset / case.name).exists()]
            place = max(begun, default=0)
            failed[rest[place].name] = reason(folder / preset / rest[place].name, str(error))
            rest = rest[place + 1 :]
    return failed


def reason(path, printed):
    """Return why a case failed: the traceback of the process that failed first, or else what the launcher printed."""
    told = sorted(path.glob("failed-*.txt"), key=lambda file: file.stat().st_mtime_ns)
    return told[0].read_text() if told else printed


def resumed(path):
    """Tell whether a run was stopped after its second step and went on from there."""
    attempts = json.loads((path / "provenance.json").read_text())["attempts"]
    return [attempt["from_step"] for attempt in attempts] == [0, 2]


def cell(folder, preset, case, failed):
    """Return what came out of a case, in a few words."""
    one, two = folder / "one" / case.alone, folder / preset / case.name
    if case.name in failed or list(two.glob("failed-*")):
        return "failed"
    if not complete(two):
        return "not run"
    if case.label:
        return f"{largest_difference(one, two):.0e}"
    apart = metrics_apart(one, two, preset)
    return f"{largest_difference(one, two):.0e}" + (f" ({len(apart)} metrics differ)" if apart else "")


def table(folder, preset, cases, failed):
    """Return the table: a row for an arm and a kind of model."""
    found = {case: cell(folder, preset, case, failed) for case in cases}
    lines = [
        "| arm | model | all weights: 1, 2 completions a pass | LoRA: 1, 2 completions a pass |",
        "|---|---|---|---|",
    ]
    for arm, kind, label in dict.fromkeys((case.arm, case.kind, case.label) for case in cases):
        name = f"{'Qwen3-VL' if kind == 'vision' else kind}{', ' + label if label else ''}"
        cells = []
        for lora in (False, True):
            both = [found.get(Case(arm, kind, lora, each, label=label), "–") for each in (1, 2)]
            cells.append(", ".join(both) if set(both) != {"–"} else "–")
        lines.append(f"| {arm} | {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def main(preset, folder, arms, page):
    folder.mkdir(parents=True, exist_ok=True)
    cases = list(all_cases(preset, arms))
    failed = train_all(folder, preset, cases, write_places(folder / "places"))
    text = table(folder, preset, list(all_cases(preset, ARMS)), failed)
    print(text)
    for case in cases:
        one, two = folder / "one" / case.alone, folder / preset / case.name
        if case.name in failed:
            print(f"\n{case.name}:\n{failed[case.name][-3000:]}")
            continue
        for told in [] if case.label else metrics_apart(one, two, preset):
            print(f"{case.name}: {told}")
        if not resumed(two):
            print(f"{case.name}: was not stopped and resumed")
    if page:
        marks = f"<!-- {preset}: tests/distributed/matrix.py -->", f"<!-- end of {preset} -->"
        page.write_text(replaced(page.read_text(), text + "\n", *marks))


if __name__ == "__main__":
    words = sys.argv[1:]
    onto = Path(words.pop(words.index("--page") + 1)) if "--page" in words else None
    words = [word for word in words if word != "--page"]
    main(words[0], Path(words[1]), words[2:] or ARMS, onto)
