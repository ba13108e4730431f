"""Two processes with the weights in shards train as one process does that holds all of them.

FSDP2 as accelerate wraps it and ZeRO-3 as DeepSpeed does, on a CPU. The fast cases are one of each kind; all of them,
`make test-slow`, are the table in docs/gpu.md.
"""

import json

import pytest
from cases import ARMS, Case, largest_difference, metrics_apart
from matrix import BFLOAT16, all_cases, train_all
from places import write_places

from rlsd_cli.arms import load_arm
from rlsd_cli.arms.options import DivergenceOptions
from rlsd_cli.runs.directory import RunDir

# AdamW divides by the gradient's size: where that is tiny, its rounding is a share of the learning rate of 1e-3.
WEIGHTS = 1e-4

FSDP2 = [
    # The probe leaves weights whole when the teacher copies them; groups of 4 in passes of 2.
    Case("rlsd", "text", micro_batch=2),
    # A distilling arm with a teacher of its own: the output layer outside the model's pass.
    Case("sdpo", "text", micro_batch=1),
    Case("rlsd", "text", lora=True, micro_batch=2),
    Case("opd", "vision", micro_batch=2),
]
# Questions with and without pictures: one process has none in a pass, the other has some.
MIXED = Case("rlsd", "vision", micro_batch=1, label="mixed")
ZERO3 = [Case("rlsd", "text", micro_batch=2, more=BFLOAT16, label="bfloat16")]


def in_zero3(arm):
    return not issubclass(load_arm(arm).options, DivergenceOptions)


def compare(folder, preset, case, weights=WEIGHTS, **tolerances):
    one, two = folder / "one" / case.alone, folder / preset / case.name
    assert not metrics_apart(one, two, **tolerances)
    lines = RunDir(one).metrics()
    assert any(line["grad_norm"] > 1e-3 for line in lines), "nothing was learned, so nothing was compared"
    assert largest_difference(one, two) < weights
    attempts = json.loads(RunDir(two).provenance_file.read_text())["attempts"]
    assert [attempt["from_step"] for attempt in attempts] == [0, 2], "the run was not stopped and resumed"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return write_places(tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="module")
def fsdp2(places, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fsdp2")
    assert not train_all(folder, "fsdp2", FSDP2, places)
    return folder


@pytest.mark.parametrize("case", FSDP2, ids=lambda case: case.name)
def test_fsdp2_trains_as_one_process_does(fsdp2, case):
    compare(fsdp2, "fsdp2", case)


def test_processes_wait_longer_for_each_other_than_torch_would(fsdp2):
    # torch's own limit on GPUs is 600 s.
    assert float((fsdp2 / "fsdp2" / "patience.txt").read_text()) >= 3600


@pytest.mark.slow
def test_one_process_may_have_pictures_and_another_none(places, tmp_path):
    assert not train_all(tmp_path, "fsdp2", [MIXED], places)
    compare(tmp_path, "fsdp2", MIXED)


@pytest.mark.slow
def test_zero3_trains_as_one_process_does(places, tmp_path):
    pytest.importorskip("deepspeed")
    assert not train_all(tmp_path, "zero3", ZERO3, places)
    # bfloat16 passes: ZeRO-3 keeps a bfloat16 copy of the weights and writes that; there is no probe.
    compare_bfloat16(tmp_path, ZERO3[0])


def compare_bfloat16(folder, case):
    one, two = folder / "one" / case.alone, folder / "zero3" / case.name
    first, second = RunDir(one).metrics(), RunDir(two).metrics()
    for before, after in zip(first, second, strict=True):
        assert after["grad_norm"] == pytest.approx(before["grad_norm"], rel=0.05)
        assert after["reward"] == before["reward"]
    # 8 bits of precision of weights up to 0.5, and three steps of 1e-3.
    assert largest_difference(one, two) < 5e-3


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_under_fsdp2(places, tmp_path, arm):
    cases = list(all_cases("fsdp2", [arm]))
    assert not train_all(tmp_path, "fsdp2", cases, places)
    for case in cases:
        compare(tmp_path, "fsdp2", case)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("arm", [arm for arm in ARMS if in_zero3(arm)])
def test_every_arm_under_zero3(places, tmp_path, arm):
    pytest.importorskip("deepspeed")
    cases = list(all_cases("zero3", [arm]))
    assert not train_all(tmp_path, "zero3", cases, places)
    for case in cases:
        compare_bfloat16(tmp_path, case)
