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


def all_cases(preset, arms):
    """Yield arm × kind of model × all weights or LoRA × completions per pass; of ZeRO-3 the arms that it takes."""
    for arm in arms:
        for kind in KINDS:
            for lora in (False, True):
                for micro_batch in (1, 2):
                    if preset != "zero3" or load_arm(arm).divergence is None:
                        yield Case(arm, kind, lora, micro_batch)
        if preset == "zero3" and load_arm(arm).divergence is None:
            yield in_bfloat16(Case(arm, micro_batch=2))


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
    found = {(c.arm, c.kind, c.lora, c.micro_batch, c.label): cell(folder, preset, c, failed) for c in cases}
    lines = [
        "| arm | model | all weights: 1, 2 completions a pass | LoRA: 1, 2 completions a pass |",
        "|---|---|---|---|",
    ]
    for arm, kind in dict.fromkeys((case.arm, case.kind) for case in cases):
        both = [", ".join(found[arm, kind, lora, each, ""] for each in (1, 2)) for lora in (False, True)]
        lines.append(f"| {arm} | {'Qwen3-VL' if kind == 'vision' else kind} | {both[0]} | {both[1]} |")
    lines += [
        f"| {case.arm} | {case.kind}, bfloat16 | –, {cell(folder, preset, case, failed)} | – |"
        for case in cases
        if case.label
    ]
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
