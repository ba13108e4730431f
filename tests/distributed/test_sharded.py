"""Two processes with the weights in shards train as one process does that holds all of them.

FSDP2 as accelerate wraps it and ZeRO-3 as DeepSpeed does, on a CPU. The fast cases are one of each kind; all of them,
`make test-slow`, are the table in docs/gpu.md.
"""

import json
import math
from pathlib import Path

import pytest
from cases import ARMS, Case, largest_difference, metrics_apart
from cpu_cluster import launch
from matrix import all_cases, resumed, train_all
from places import write_places

from rlsd_cli.arms import load_arm
from rlsd_cli.runs.directory import RunDir

pytestmark = pytest.mark.timeout(0)  # `launch` ends what makes no progress
PRESETS = Path(__file__).with_name("train_presets.py")
# AdamW divides by the gradient's size: where that is tiny, its rounding is a share of the learning rate of 1e-3.
WEIGHTS = 1e-4

FSDP2 = [
    # The probe leaves weights whole when the teacher copies them; groups of 4 in passes of 2.
    Case("rlsd", "text", micro_batch=2),
    # A distilling arm with a teacher of its own: the output layer outside the model's pass.
    Case("sdpo", "text", micro_batch=1),
    Case("rlsd", "text", lora=True, micro_batch=2),
    # A frozen teacher beside the adapter, whose pass comes before the policy's.
    Case("sdpg", "vision", lora=True, micro_batch=2),
    Case("opd", "vision", micro_batch=2),
]
# Questions with and without pictures: one process has none in a pass, the other has some.
MIXED = Case("rlsd", "vision", micro_batch=1, label="mixed")


def train_them(folder, preset, cases, places):
    failed = train_all(folder, preset, cases, places)
    assert not failed, "\n\n".join(f"{name}\n{why[-4000:]}" for name, why in failed.items())


def compare(folder, preset, case, weights=WEIGHTS):
    one, two = folder / "one" / case.alone, folder / preset / case.name
    if case.label == "bfloat16":
        compare_bfloat16(one, two)
        return
    assert not metrics_apart(one, two, preset)
    lines = RunDir(one).metrics()
    assert any(line["grad_norm"] > 1e-3 for line in lines), "nothing was learned, so nothing was compared"
    assert largest_difference(one, two) < weights
    assert resumed(two), "the run was not stopped and resumed"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return write_places(tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="module")
def fsdp2(places, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fsdp2")
    train_them(folder, "fsdp2", FSDP2, places)
    return folder


@pytest.mark.parametrize("case", FSDP2, ids=lambda case: case.name)
def test_fsdp2_trains_as_one_process_does(fsdp2, case):
    compare(fsdp2, "fsdp2", case)


def test_processes_wait_longer_for_each_other_than_torch_would(fsdp2):
    # torch's own limit on GPUs is 600 s.
    assert float((fsdp2 / "fsdp2" / "patience.txt").read_text()) >= 3600


@pytest.mark.slow
def test_one_process_may_have_pictures_and_another_none(places, tmp_path):
    train_them(tmp_path, "fsdp2", [MIXED], places)
    compare(tmp_path, "fsdp2", MIXED)


def compare_bfloat16(one, two):
    """Compare with passes in bfloat16: ZeRO-3 keeps a bfloat16 copy of the weights and writes that."""
    for before, after in zip(RunDir(one).metrics(), RunDir(two).metrics(), strict=True):
        assert after["grad_norm"] == pytest.approx(before["grad_norm"], rel=0.05)
        assert after["reward"] == before["reward"]
    # 8 bits of precision of weights up to 0.5, and three steps of 1e-3.
    assert largest_difference(one, two) < 5e-3
    assert resumed(two), "the run was not stopped and resumed"


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["fsdp2", "zero3"])
def test_every_arm_that_a_preset_takes(places, tmp_path, preset):
    if preset == "zero3":
        pytest.importorskip("deepspeed")
    cases = list(all_cases(preset, ARMS))
    assert {case.arm for case in cases} >= {arm for arm in ARMS if load_arm(arm).divergence is None}
    train_them(tmp_path, preset, cases, places)
    for case in cases:
        compare(tmp_path, preset, case)


@pytest.mark.slow
def test_the_documented_command_runs_for_every_arm(places, tmp_path):
    (tmp_path / "places.json").write_text(json.dumps({name: str(path) for name, path in places.items()}))
    launch(2, "fsdp2", PRESETS, tmp_path / "places.json", tmp_path / "runs", watch=tmp_path)
    for arm in ARMS:
        lines = RunDir.open(tmp_path / "runs" / arm).metrics()
        assert [line["step"] for line in lines] == [1, 2], arm
        assert all(math.isfinite(line["loss"]) for line in lines), arm
        assert arm == "sft" or "probe/entropy" in lines[0], arm
