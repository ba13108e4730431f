"""Trains every case alone and in two processes, and prints the table of docs/gpu.md.

    PYTHONPATH=.:tests/support python tests/distributed/matrix.py fsdp2 FOLDER [ARM…]

A case that fails ends its processes; the next ones are trained in new ones.
"""

import sys
from pathlib import Path

from cases import ARMS, KINDS, Case, largest_difference, metrics_apart, write_cases
from cpu_cluster import launch
from places import write_places

SCRIPT = Path(__file__).with_name("train_cases.py")
BFLOAT16 = {"model": {"dtype": "bfloat16"}}


def all_cases(preset, arms):
    """Yield arm × kind of model × all weights or LoRA × completions per pass; ZeRO-3 in bfloat16, as its preset."""
    more = {"more": BFLOAT16, "label": "bfloat16"} if preset == "zero3" else {}
    for arm in arms:
        for kind in KINDS:
            for lora in (False, True):
                for micro_batch in (1, 2):
                    yield Case(arm, kind, lora, micro_batch, **more)


def train_all(folder, preset, cases, places):
    """Train cases alone and in two processes, and return why those failed that did, by name."""
    alone = {case.alone: case for case in cases}
    launch(1, None, SCRIPT, write_cases(folder / "one.json", alone.values(), places), folder / "one", timeout=3000)
    failed, rest = {}, list(cases)
    while rest:
        try:
            launch(2, preset, SCRIPT, write_cases(folder / "two.json", rest, places), folder / preset, timeout=3000)
            break
        except AssertionError as error:
            place = max(
                (number for number, case in enumerate(rest) if (folder / preset / case.name).exists()), default=0
            )
            told = sorted((folder / preset / rest[place].name).glob("failed-*.txt"))
            failed[rest[place].name] = (told[0].read_text() if told else str(error)).strip().splitlines()[-1]
            rest = rest[place + 1 :]
    return failed


def main(preset, folder, arms):
    cases = list(all_cases(preset, arms))
    failed = train_all(folder, preset, cases, write_places(folder / "places"))
    print("| arm | model | trained | completions a pass | largest difference of a weight | metrics that differ |")
    print("|---|---|---|---:|---:|---|")
    for case in cases:
        row = f"| {case.arm} | {case.kind} | {'LoRA' if case.lora else 'all weights'} | {case.micro_batch} |"
        if case.name in failed:
            print(row, failed[case.name][:200], "| – |")
            continue
        one, two = folder / "one" / case.alone, folder / preset / case.name
        apart = metrics_apart(one, two)
        print(row, f"{largest_difference(one, two):.0e} |", f"{len(apart)}: {apart[0]}" if apart else "none", "|")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:] or ARMS)
